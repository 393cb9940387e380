"""Windows of the sandbox's display are kept as large as its screen; a display that lies is left."""

import contextlib
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qvdnode.desk.core.x11_fit import WAITING_MAX, WINDOWS_MAX, Fit
from qvdnode.wire.x11 import BadX11

ROOT, WINDOW = 0x100, 0x20_0001


def setup(width: int = 800, height: int = 600, root: int = ROOT) -> bytes:
    screen = struct.pack(
        "<IIIIIHHHHHHIBBBB", root, 0, 0, 0, 0, width, height, 1, 1, 1, 1, 0, 0, 0, 24, 0
    )
    body = struct.pack("<IIIIHHBBBBBBBBI", 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0) + screen
    return struct.pack("<BxHHH", 1, 11, 0, len(body) // 4) + body


def event(kind: int, window: int, rest: bytes = b"") -> bytes:
    return (struct.pack("<BxHII", kind, 0, ROOT, window) + rest).ljust(32, b"\0")


def mapped(window: int = WINDOW, *, override: bool = False) -> bytes:
    return event(19, window, bytes([override]))


def resized(width: int, height: int, window: int = ROOT) -> bytes:
    return event(22, window, struct.pack("<IhhHH", 0, 0, 0, width, height))


def configured(requests: bytes) -> list[tuple[int, int, int]]:
    """The window and the size of each ConfigureWindow."""
    found = []
    while requests:
        opcode, words = struct.unpack_from("<BxH", requests)
        assert opcode == 12
        window, _mask, _x, _y, width, height = struct.unpack_from("<IHxxiiII", requests, 4)
        found.append((window, width, height))
        requests = requests[4 * words :]
    return found


def ready() -> Fit:
    fit = Fit()
    assert fit.receive(setup())
    return fit


def test_it_greets_in_little_endian_without_a_cookie() -> None:
    assert Fit.greeting() == struct.pack("<BxHHHHxx", ord("l"), 11, 0, 0, 0)


def test_a_window_gets_the_size_of_the_screen_and_follows_it() -> None:
    fit = ready()
    before = fit.shown
    assert configured(fit.receive(mapped())) == [(WINDOW, 800, 600)]
    assert (before, fit.shown) == (False, True)
    assert configured(fit.receive(resized(1024, 768))) == [(WINDOW, 1024, 768)]
    assert fit.receive(resized(1024, 768)) == b""
    assert fit.receive(resized(10, 10, window=WINDOW)) == b""


def test_a_window_that_has_gone_is_left_alone() -> None:
    fit = ready()
    fit.receive(mapped())
    fit.receive(event(18, WINDOW))
    assert fit.receive(resized(1024, 768)) == b""


def test_menus_and_the_like_keep_their_size() -> None:
    fit = ready()
    assert fit.receive(mapped(override=True)) == b""
    assert not fit.shown


def test_bytes_may_come_in_any_pieces() -> None:
    fit, said = Fit(), setup() + mapped() + resized(1024, 768)
    out = b"".join(fit.receive(bytes([byte])) for byte in said)
    whole = Fit()
    assert out == whole.receive(said)


@pytest.mark.parametrize(
    "sent",
    [
        setup(root=0),
        struct.pack("<BxHHH", 0, 11, 0, 0),
        struct.pack("<BxHHH", 1, 11, 0, 1) + b"\0\0\0\0",
        setup() + struct.pack("<BxHI", 1, 0, 0xFFFF_FFFF).ljust(32, b"\0"),
        setup() + b"".join(mapped(n) for n in range(1, WINDOWS_MAX + 2)),
    ],
)
def test_a_display_that_lies_is_refused(sent: bytes) -> None:
    with pytest.raises(BadX11):
        Fit().receive(sent)


def test_a_packet_without_an_end_is_refused_before_it_fills_the_memory() -> None:
    fit = ready()
    fit.receive(struct.pack("<BxHI", 1, 0, 0x100_0000).ljust(32, b"\0"))
    fit.receive(bytes(WAITING_MAX - 32))
    with pytest.raises(BadX11):
        fit.receive(b"0")


@given(st.binary(max_size=300), st.booleans())
def test_nothing_but_a_refusal_comes_of_rubbish(data: bytes, greeted: bool) -> None:
    fit = ready() if greeted else Fit()
    with contextlib.suppress(BadX11):
        fit.receive(data)


def test_of_many_sizes_at_once_only_the_last_one_is_answered() -> None:
    fit = ready()
    for number in range(WINDOWS_MAX):
        fit.receive(mapped(WINDOW + number))
    many = b"".join(resized(800 + number % 2, 600 + number) for number in range(500))
    placed = configured(fit.receive(many + resized(1024, 768)))
    assert [(width, height) for _, width, height in placed] == [(1024, 768)] * WINDOWS_MAX
    assert fit.receive(resized(1, 1) + resized(1024, 768)) == b""
