"""An empty screen is told from a desktop."""

from qvdnode.client.core.picture import Picture


def test_one_colour_or_a_pattern_of_two_is_empty() -> None:
    assert not Picture(64, 64, bytes(64 * 64 * 3)).shows_something()
    stipple = (b"\0\0\0" + b"\xff\xff\xff") * (32 * 64)
    assert not Picture(64, 64, stipple).shows_something()
    assert not Picture(0, 0, b"").shows_something()


def test_many_colours_are_a_desktop() -> None:
    rgb = b"".join(bytes([x, y, 99]) for y in range(64) for x in range(64))
    assert Picture(64, 64, rgb).shows_something()
