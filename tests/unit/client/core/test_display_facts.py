"""Guesses about screen, keyboard and network."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qvdnode.client.core.display_facts import geometry, keyboard, link_class


def test_full_screen_is_the_screen_and_a_window_is_less() -> None:
    assert geometry(1920, 1080, fullscreen=True) == "1920x1080"
    assert geometry(1920, 1080, fullscreen=False) == "1600x900"


@given(st.integers(1, 65_535), st.integers(1, 65_535))
def test_a_window_fits_its_screen_or_is_tiny(width: int, height: int) -> None:
    w, h = map(int, geometry(width, height, fullscreen=False).split("x"))
    assert 8 <= w <= max(8, width)
    assert 8 <= h <= max(8, height)
    assert w % 8 == 0


@pytest.mark.parametrize(
    ("property_value", "found"),
    [
        (b"evdev\0pc105\0es\0\0\0", "pc105/es"),
        (b"evdev\0pc105\0us,de\0,nodeadkeys\0\0", "pc105/us"),
        (b"evdev\0pc105\0us,de\0intl,nodeadkeys\0\0", "pc105/us/intl"),
        (b"evdev\0pc105\0de\0no dead,keys\0\0", "pc105/de"),
        (b"evdev\0pc105\0de", "pc105/de"),
        (b"", None),
        (b"evdev\0\0es\0", None),
        (b"evdev\0pc105\0,us\0", None),
        (b"evdev\0pc105", None),
        (b"evdev\0 \0es", None),
        (b"evdev\0pc105,listen=1\0es", None),
    ],
)
def test_the_keyboard_is_model_and_first_layout(property_value: bytes, found: str | None) -> None:
    assert keyboard(property_value) == found


@given(st.binary(max_size=64))
def test_any_property_is_survived(value: bytes) -> None:
    found = keyboard(value)
    assert found is None or re.fullmatch(r"[A-Za-z0-9_.+-]+(/[A-Za-z0-9_.+-]+){1,2}", found)


@pytest.mark.parametrize(
    ("round_trip_s", "name"),
    [(0.0002, "lan"), (0.005, "wan"), (0.05, "adsl"), (0.2, "isdn"), (2.0, "modem")],
)
def test_slow_networks_get_more_compression(round_trip_s: float, name: str) -> None:
    assert link_class(round_trip_s) == name
