"""A finding of `qvdnode doctor`, which is one line of its output."""

from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """The severity of a finding."""

    OK = "ok"
    WARNING = "warning"
    """Desktops run, but something is slower, weaker or missing."""
    ERROR = "error"
    """Desktops do not run."""


@dataclass(frozen=True, slots=True)
class Finding:
    """A fact about the host, and how to fix it if it is a problem."""

    subject: str
    level: Level
    text: str
    fix: str = ""


def ok(subject: str, text: str) -> Finding:
    """All is well."""
    return Finding(subject, Level.OK, text)


def warning(subject: str, text: str, fix: str) -> Finding:
    """It will do."""
    return Finding(subject, Level.WARNING, text, fix)


def error(subject: str, text: str, fix: str) -> Finding:
    """Return a finding that keeps desktops from running."""
    return Finding(subject, Level.ERROR, text, fix)
