"""Reads what the probe prints in a guest. Pure.

The guest is not trusted: whatever it prints, only known keys count, and values are short.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

KEYS: Final = frozenset(
    {
        "lang", "charmap", "locales", "no_fontconfig", "indirect", "sound_server", "bus", "keyring",
        "ssh_agent", "input_method", "locker", "xdg_screensaver", "loginctl", "libGL.so.1",
        "libEGL_mesa.so.0", "libpulse.so.0", "libasound.so.2", "libgtk-4.so.1", "font_latin",
        "font_greek", "font_cyrillic", "font_chinese", "font_japanese", "font_korean",
        "font_emoji",
    }
)  # fmt: skip
VALUE_MAX: Final = 16_384
"""Characters; a system with all of Debian's locales names 500 of them."""

Facts = Mapping[str, str]
"""By the probe's keys; what was not said, or is empty, is missing."""


def parse(printed: bytes) -> Facts:
    """The facts of the lines that are of the probe's form; of two with one key, both words."""
    found: dict[str, str] = {}
    for line in printed.decode(errors="replace").splitlines():
        key, mark, value = line.partition("=")
        clean = "".join(char for char in value[:VALUE_MAX] if char.isprintable()).strip()
        if not mark or key not in KEYS or not clean:
            continue
        found[key] = f"{found[key]} {clean}"[:VALUE_MAX] if key in found else clean
    return MappingProxyType(found)
