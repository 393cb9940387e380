"""Turns what was seen of a booted image into findings. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from qvdnode.cli.doctor.finding import Finding, error, ok, warning
from qvdnode.cli.image_check.facts import Facts

SCRIPTS: Final[Mapping[str, str]] = {
    "latin": "fonts-dejavu-core",
    "greek": "fonts-dejavu-core",
    "cyrillic": "fonts-dejavu-core",
    "chinese": "fonts-noto-cjk",
    "japanese": "fonts-noto-cjk",
    "korean": "fonts-noto-cjk",
    "emoji": "fonts-noto-color-emoji",
}
"""Which package brings letters of each."""
OURS: Final = "/usr/local/bin/"
"""Where our programs lie that make a lock leave the desktop."""
CPU_GOAL_PCT: Final = 0.2
WAKEUPS_GOAL: Final = 2.0


@dataclass(frozen=True, slots=True)
class Idle:
    """What the desktop does while nobody touches it."""

    cpu_pct: float
    """Percent of one core."""
    wakeups_per_s: float
    pss_mib: float
    busiest: str
    """The process that wakes most often."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What was seen of the desktop from outside; None is what was not tried."""

    shown_s: float
    """From the client's start until the desktop's window appeared."""
    drawn_s: float | None
    """Until something was drawn and did not change any more; None: nothing was drawn."""
    idle: Idle | None
    left_by: Mapping[str, bool]
    """Whether each of these programs, asked to lock, disconnected the client."""


def of_driver(name: str, problem: str | None) -> Finding:
    """Whether the image serves for a driver; the problem is a sentence."""
    subject = f"driver {name}"
    if problem is None:
        return ok(subject, "the image has what it needs")
    text, _, fix = problem.partition(": ")
    return warning(subject, text, fix[:1].upper() + fix[1:])


def of_desktop(seen: Seen, facts: Facts) -> list[Finding]:
    """All findings of a desktop that came up."""
    return [
        *_display(seen),
        *_locale(facts),
        *_fonts(facts),
        *_opengl(facts),
        *_sound(facts),
        *_session(facts),
        *_locking(seen, facts),
        *_idle(seen),
    ]


def _display(seen: Seen) -> Iterator[Finding]:
    if seen.drawn_s is None:
        yield error(
            "display",
            "the display came up and nothing was drawn on it",
            "See ~/.xsession-errors in the desktop; what starts it is in /usr/lib/qvd/desktop.conf",
        )
        return
    yield ok("display", f"shown after {seen.shown_s:.1f} s, drawn after {seen.drawn_s:.1f} s")


def _locale(facts: Facts) -> Iterator[Finding]:
    names = facts.get("locales", "").split()
    languages = sorted({name for name in names if "_" in name})
    lang, charmap = facts.get("lang", "none"), facts.get("charmap", "none")
    if charmap != "UTF-8":
        yield warning(
            "locale",
            f"the session's locale {lang} has no UTF-8 (character set {charmap})",
            "Make the locale in the image (dpkg-reconfigure locales), or name one that it has in"
            " its flavour",
        )
    elif languages:
        yield ok("locale", f"{lang}; the image has {', '.join(languages)}")
    else:
        yield warning(
            "locale",
            f"{lang}; the image has no language besides",
            "Install locales in the image and make those that its users want",
        )


def _fonts(facts: Facts) -> Iterator[Finding]:
    if "no_fontconfig" in facts:
        yield warning(
            "fonts", "it is not known which: fc-list is missing", "apt-get install fontconfig"
        )
        return
    missing = [script for script in SCRIPTS if f"font_{script}" not in facts]
    if not missing:
        yield ok("fonts", ", ".join(SCRIPTS))
        return
    packages = sorted({SCRIPTS[script] for script in missing})
    yield warning(
        "fonts", f"none for {', '.join(missing)}", f"apt-get install {' '.join(packages)}"
    )


def _opengl(facts: Facts) -> Iterator[Finding]:
    ways = []
    if "libGL.so.1" in facts and facts.get("indirect") == "1":
        ways.append("up to 1.2 by GLX, drawn by the display")
    if "libEGL_mesa.so.0" in facts:
        ways.append("current versions by EGL, drawn by the program (Mesa)")
    if ways:
        yield ok("OpenGL", "; ".join(ways))
    elif "libGL.so.1" in facts:
        yield warning(
            "OpenGL",
            "programs that use GLX end with GLXUnsupportedPrivateRequest",
            "Set LIBGL_ALWAYS_INDIRECT=1 for sessions, as /usr/lib/qvd/desktop-program does",
        )
    else:
        yield ok("OpenGL", "the image has no library for it, and so no program that needs it")


def _sound(facts: Facts) -> Iterator[Finding]:
    if "libpulse.so.0" in facts:
        yield ok("sound client", "PulseAudio's library is there")
        return
    alone = "ALSA's library alone" if "libasound.so.2" in facts else "no library"
    yield warning(
        "sound client", f"{alone}: programs find no sound server", "apt-get install libpulse0"
    )


def _session(facts: Facts) -> Iterator[Finding]:
    if "bus" in facts:
        yield ok("D-Bus", "the session's bus answers at its address")
    else:
        yield warning("D-Bus", "there is no session bus", "apt-get install dbus-daemon")
    if "keyring" in facts:
        yield ok("keyring", facts["keyring"])
    if "ssh_agent" in facts:
        yield ok("SSH agent", "runs in the session")
    if "input_method" in facts:
        yield ok("input method", facts["input_method"])


def _locking(seen: Seen, facts: Facts) -> Iterator[Finding]:
    failed = [name for name, left in seen.left_by.items() if not left]
    if failed:
        yield warning(
            "locking",
            f"{', '.join(failed)} did not disconnect the client",
            "Have it run /usr/lib/qvd/leave: the account has no password that could unlock",
        )
    elif seen.left_by:
        yield ok("locking", f"{', '.join(seen.left_by)} disconnect the client")
    if "locker" in facts:
        yield ok("locker", f"the image brings {facts['locker']}; a reconnect unlocks it")


def _idle(seen: Seen) -> Iterator[Finding]:
    if seen.idle is None:
        return
    idle = seen.idle
    text = (
        f"{idle.cpu_pct:.2f} % of a core, {idle.wakeups_per_s:.1f} wake-ups a second,"
        f" {idle.pss_mib:.0f} MiB (PSS)"
    )
    if idle.cpu_pct > CPU_GOAL_PCT or idle.wakeups_per_s > WAKEUPS_GOAL:
        yield warning(
            "idle",
            text,
            f"{idle.busiest} wakes most often: leave it out, or change its settings; hundreds of"
            " desktops do the same",
        )
    else:
        yield ok("idle", text)
