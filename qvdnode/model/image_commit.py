"""Commits of images as the farm keeps them: what nodes know of one without having its tree."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class CommitWish:
    """What is to become of the changes of a desktop."""

    image: str
    """The name of the image that they are committed to."""
    branch: str
    message: str
    author: str


@dataclass(frozen=True, slots=True)
class CommitRecord:
    """One commit."""

    name: str
    """The SHA-256 of `body`."""
    parents: tuple[str, ...]
    body: bytes
    """The canonical text (image/core/commit.py)."""
