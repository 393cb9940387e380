"""What a client asks of its desktop, guessed from the screen, the keyboard and the network."""

from typing import Final

from qvdnode.wire.qvd_params import GRAMMAR

WINDOW_SHARE: Final = 5 / 6
"""Of the screen, for a desktop in a window: leaves room for panels and the frame."""

LINKS: Final[tuple[tuple[float, str], ...]] = (
    (0.005, "lan"),
    (0.040, "wan"),
    (0.150, "adsl"),
    (0.400, "isdn"),
)


def geometry(width: int, height: int, *, fullscreen: bool) -> str:
    """The size to ask for on a screen of that size, as nxagent wants it."""
    if fullscreen:
        return f"{width}x{height}"
    return f"{max(8, int(width * WINDOW_SHARE) // 8 * 8)}x{max(8, int(height * WINDOW_SHARE))}"


def keyboard(rules_names: bytes) -> str | None:
    """Model and first layout of the X server's _XKB_RULES_NAMES property, such as pc105/es.

    With the layout's variant where it has one: pc105/us/intl.
    """
    parts = rules_names.decode("latin-1").split("\0")
    if len(parts) < 3:
        return None
    plain = f"{parts[1]}/{parts[2].split(',')[0]}"
    variant = parts[3].split(",")[0] if len(parts) > 3 else ""
    exact = f"{plain}/{variant}"
    # Whoever set something odd gets the layout as it is, or the server's default.
    return next((found for found in (exact, plain) if GRAMMAR["keyboard"].fullmatch(found)), None)


def link_class(round_trip_s: float) -> str:
    """The NX link class for a measured round trip."""
    return next((name for limit_s, name in LINKS if round_trip_s < limit_s), "modem")
