"""What servers, of QVD and of X11, send to our client."""

import contextlib
from typing import Final

from fuzz.target import Target, pieces
from qvdnode.cli.api_answers import Refused, content, import_line
from qvdnode.client.core.display_facts import keyboard
from qvdnode.client.core.refusal import error_of
from qvdnode.model.errors import Unavailable
from qvdnode.wire import x11
from qvdnode.wire.qvd_client import (
    HEAD_BYTES_MAX,
    Answered,
    AnswerReader,
    BadAnswer,
    Switched,
    parse_desktops,
    parse_session_end,
)
from qvdnode.wire.server_sent_events import BadStream, EventReader, SentEvent


def server_answers(data: bytes) -> None:
    """Our client survives any server, and sees the same however its bytes arrive."""
    whole = _heard([data])
    single = _heard(pieces(data))
    if whole != single:
        raise AssertionError(f"{whole} is not {single}")


def _heard(arriving: list[bytes]) -> list[object]:
    reader = AnswerReader()
    events: list[object] = []
    with contextlib.suppress(BadAnswer):
        for piece in arriving:
            if events and isinstance(events[-1], Switched):
                events[-1] = Switched(events[-1].headers, events[-1].rest + piece)
                continue
            events.extend(reader.receive(piece))
    return events


def desktop_lists(data: bytes) -> None:
    """Any list of desktops, or word on a session's end, is understood or refused."""
    for parse in (parse_desktops, parse_session_end):
        with contextlib.suppress(BadAnswer):
            parse(data)


def refusals(data: bytes) -> None:
    """Any refusal of a server becomes one line for a person."""
    status = 400 + (data[0] if data else 0)
    said = str(error_of(Answered(status, {}, data[1:])))
    if not said.strip() or "\n" in said:
        raise AssertionError(said)


def event_streams(data: bytes) -> None:
    """Any stream of events is read or refused, and the same however its bytes arrive."""
    whole, single = _events([data]), _events(pieces(data))
    if whole is not None and single is not None and whole != single:
        raise AssertionError(f"{whole} is not {single}")


def _events(arriving: list[bytes]) -> list[SentEvent] | None:
    reader = EventReader()
    try:
        return [event for piece in arriving for event in reader.feed(piece)]
    except BadStream:
        return None


def api_answers(data: bytes) -> None:
    """Any answer of an API is read or refused."""
    for status in (200, 404):
        with contextlib.suppress(Refused, Unavailable):
            content(status, data)
    with contextlib.suppress(Refused, Unavailable):
        import_line(data)


def x11_packets(data: bytes) -> None:
    """An X server's packets are the same however they arrive."""
    if _packets([data]) != _packets(pieces(data)):
        raise AssertionError(data)


def _packets(arriving: list[bytes]) -> list[x11.Packet]:
    waiting, found = bytearray(), list[x11.Packet]()
    with contextlib.suppress(x11.BadX11):
        for piece in arriving:
            waiting += piece
            while (packet := x11.cut_packet(waiting)) is not None:
                found.append(packet)
    return found


def x11_replies(data: bytes) -> None:
    """Any reply of an X server, and any authority file, is understood or refused."""
    x11.find_cookie(data, 0, "host")
    if (rules := keyboard(data)) is not None and set(rules) & set(",=: \n\0"):
        raise AssertionError(rules)
    with contextlib.suppress(x11.BadX11):
        x11.parse_setup(data)
    whole = data.ljust(x11.PACKET, b"\0")  # no packet is shorter
    x11.window_of(x11.Packet(x11.MAP_NOTIFY, 0, whole))
    readers = (x11.is_viewable, x11.parse_size, x11.parse_children, x11.parse_atom)
    for read in (*readers, x11.parse_property):
        with contextlib.suppress(x11.BadX11):
            read(whole)
    with contextlib.suppress(x11.BadX11):
        x11.rgb_of_image(whole, len(data) // 4)


TARGETS: Final[dict[str, Target]] = {
    "server_answers": Target(
        server_answers,
        (
            (
                b"HTTP/1.1 102 Processing\r\nX-QVD-VM-Info: Starting\r\n\r\n"
                b"HTTP/1.1 101 Switching Protocols\r\nX-QVD-Slave-Key: k\r\n\r\nNXPROXY-"
            ),
            b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]",
            b"HTTP/1.1 200 OK\r\nX: " + b"a" * HEAD_BYTES_MAX,
        ),
        size_max=2 * HEAD_BYTES_MAX,
        weight=2,
    ),
    "desktop_lists": Target(
        desktop_lists,
        (b'[{"id": 7, "name": "desk", "state": "stopped", "blocked": 0, "is_application": 0}]',),
    ),
    "refusals": Target(refusals, (b"\x03Not allowed.\r\n", b"\xf6<html>\n\x00")),
    "event_streams": Target(
        event_streams,
        (b'id: a-1\nevent: vm\ndata: {"kind":"vm","id":1}\n\n: ping\n\ndata: x\r\n\r\n',),
    ),
    "api_answers": Target(
        api_answers,
        (
            b'{"detail": "No.", "code": "not_found"}',
            b'{"progress": 5}',
            b'{"problem": {"detail": "No."}}',
            b'{"version": {"version": 1}}',
        ),
    ),
    "x11_packets": Target(
        x11_packets,
        (bytes([x11.REPLY, 0, 1, 0, 1, 0, 0, 0]) + bytes(28), bytes([x11.MAP_NOTIFY]) + bytes(31)),
    ),
    "x11_replies": Target(
        x11_replies, (bytes([1, 0, 11, 0, 0, 0, 10, 0]) + bytes(64), b"evdev\0pc105\0es\0\0\0")
    ),
}
