"""What other nodes of the farm send, once they have proved who they are."""

import contextlib
from typing import Final

from fuzz.target import Target, pieces
from qvdnode.model.display_params import DisplayParams
from qvdnode.model.ids import Generation, NodeId, VmId
from qvdnode.model.seat import DisplayAddress, Evicted, Seat, Viewer, ViewerId
from qvdnode.peer import calls
from qvdnode.wire.peer_errors import error_of
from qvdnode.wire.peer_frames import (
    Answer,
    Call,
    Cancel,
    Failure,
    Frame,
    FrameError,
    FrameReader,
    Notice,
    Ping,
    Pong,
    encode,
)
from qvdnode.wire.typed_values import BadValue, from_plain, to_plain
from tests.fakes.orders import desktop_order

VIEWER: Final = Viewer(ViewerId("alice"), NodeId(1))
SEAT: Final = Seat(NodeId(2), VmId(7), Generation(3), DisplayAddress("10.0.0.2", 4100), 5)
FRAMES: Final[tuple[Frame, ...]] = (
    Call(1, "attach", to_plain(calls.Attach(desktop_order(), DisplayParams(), VIEWER))),
    Call(2, "stop", to_plain(calls.OfVm(VmId(7)))),
    Answer(1, to_plain(SEAT)),
    Failure(1, "guest_failed", "It did not come up.", {"step": "launch"}),
    Cancel(1),
    Ping(1),
    Pong(1),
    Notice("held", to_plain(calls.HeldSeats((calls.key_of(SEAT),)))),
    Notice("evicted", to_plain(Evicted(VIEWER, "a newer connection took over"))),
)
KINDS: Final = (
    calls.Attach, calls.Start, calls.OfVm, calls.HeldSeats, calls.SeatKey, calls.OpenStream,
    Seat, Evicted,
)  # fmt: skip


def peer_frames(data: bytes) -> None:
    """The same frames come out however bytes arrive; what can be read is what would be written."""
    whole = _read([data])
    if whole is not None:
        if _read(pieces(data)) != whole:
            raise AssertionError(whole)
        for frame in whole:
            _check(frame)


def _read(parts: list[bytes]) -> list[Frame] | None:
    reader, frames = FrameReader(), list[Frame]()
    try:
        for part in parts:
            frames += reader.feed(part)
    except FrameError:
        return None
    return frames


def _check(frame: Frame) -> None:
    if isinstance(frame, Failure):
        str(error_of(frame))
    plain = frame.arguments if isinstance(frame, Call) else None
    plain = frame.value if isinstance(frame, Answer) else plain
    plain = frame.facts if isinstance(frame, Notice) else plain
    for kind in KINDS:
        with contextlib.suppress(BadValue):
            value = from_plain(kind, plain)
            if from_plain(kind, to_plain(value)) != value:
                raise AssertionError(value)


TARGETS: Final[dict[str, Target]] = {
    "peer_frames": Target(
        peer_frames, (b"".join(encode(one) for one in FRAMES), *map(encode, FRAMES)), weight=3
    ),
}
