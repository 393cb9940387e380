"""What our session files need of the system that they are put into, and which package has it. Pure.

Names of packages are Debian's.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

SCRIPT: Final = "usr/lib/qvd/session"
INIT: Final = "usr/lib/qvd/init"
ADD: Final = "--add-session"
DESKTOP: Final = "xfce4"
"""What is proposed where there is no desktop."""

Has = Callable[[str], bool]
"""Whether a root file system has this path, such as usr/bin/env."""


@dataclass(frozen=True, slots=True)
class Need:
    """A thing that a desktop does not come up without."""

    name: str
    package: str
    paths: tuple[str, ...]
    """Any of them will do."""


def _program(name: str, package: str) -> Need:
    return Need(name, package, (f"usr/bin/{name}", f"bin/{name}", f"usr/sbin/{name}"))


NEEDS: Final = (
    _program("nxagent", "nxagent"),
    _program("xkbcomp", "x11-xkb-utils"),
    Need(
        "keyboard layouts",
        "xkb-data",
        # The first is a link to the folder of the second from Debian 14 on.
        ("usr/share/X11/xkb/rules/evdev", "usr/share/xkeyboard-config-2/rules/evdev"),
    ),
    _program("dumb-init", "dumb-init"),
    _program("setpriv", "util-linux"),
    _program("setsid", "util-linux"),
    _program("flock", "util-linux"),
    _program("env", "coreutils"),
    _program("timeout", "coreutils"),
    _program("grep", "grep"),
    _program("perl", "perl-base"),
    _program("dbus-daemon", "dbus-daemon"),
    Need("fonts", "fonts-dejavu-core", ("usr/share/fonts/truetype", "usr/share/fonts/opentype")),
    Need(
        "a desktop",
        DESKTOP,
        (
            "usr/bin/x-session-manager",
            "usr/bin/x-window-manager",
            "etc/alternatives/x-session-manager",
            "etc/alternatives/x-window-manager",
        ),
    ),
)


def lacking(has: Has) -> list[Need]:
    """What is not there, in the order of the table."""
    return [need for need in NEEDS if not any(map(has, need.paths))]


def refusal(lacks: Sequence[Need]) -> str | None:
    """What to say to whoever wants our session in a system that lacks these; None if nothing."""
    if not lacks:
        return None
    names = ", ".join(need.name for need in lacks)
    packages = " ".join(sorted({need.package for need in lacks}))
    choice = f" (or another desktop than {DESKTOP})" if DESKTOP in packages else ""
    return f"the system lacks {names}: apt-get install {packages} in it{choice}"


def without_session(has: Has) -> str | None:
    """What to say of a system without a session script; None when it has one."""
    if has(SCRIPT) and has(INIT):
        return None
    missing = SCRIPT if not has(SCRIPT) else INIT
    said = f"/{missing} is missing: {ADD} puts ours in (docs/desktops.md)"
    needs = refusal(lacking(has))
    return said if needs is None else f"{said}; {needs}"


def desktop_settings(has: Has) -> bytes:
    """What `desktop.conf` says for a system that was not made from a recipe: its own choice."""
    manager = "x-session-manager"
    if not has(f"usr/bin/{manager}") and not has(f"etc/alternatives/{manager}"):
        manager = "x-window-manager"
    return f"session='exec {manager}'\nwindow_manager='exec x-window-manager'\n".encode()
