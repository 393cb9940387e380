"""One line of `qvdnode doctor`."""

from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """How bad it is."""

    OK = "ok"
    WARNING = "warning"
    """Desktops run, but something is slower, weaker or missing."""
    ERROR = "error"
    """Desktops do not run."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What is so, and what to do about it."""

    subject: str
    level: Level
    text: str
    mend: str = ""


def ok(subject: str, text: str) -> Finding:
    """All is well."""
    return Finding(subject, Level.OK, text)


def warning(subject: str, text: str, mend: str) -> Finding:
    """It will do."""
    return Finding(subject, Level.WARNING, text, mend)


def error(subject: str, text: str, mend: str) -> Finding:
    """It will not do."""
    return Finding(subject, Level.ERROR, text, mend)
