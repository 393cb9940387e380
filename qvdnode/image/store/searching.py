"""Finds paths and text in commits, and the commit that last changed a path. Everything blocks."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from qvdnode.image.core import manifest as manifests
from qvdnode.image.core.manifest import Kind, Node
from qvdnode.image.store.branches import Branches
from qvdnode.image.store.history import History, LogEntry
from qvdnode.image.store.repository import Repository
from qvdnode.model.errors import Invalid, NotFound

LINE_MAX: Final = 200
"""Bytes that are shown of a line."""
_TEXT_PROBE: Final = 8_192
"""A file with a zero byte in its first bytes is not text, as for git."""


@dataclass(frozen=True, slots=True)
class Match:
    """A path, or a line in it, that matches."""

    path: bytes
    line: int = 0
    """Its number, from 1; 0 for a path, and for a file that is not text."""
    text: bytes = b""


class Searching:
    """Searches one store."""

    def __init__(self, store: Repository, branches: Branches, history: History) -> None:
        self._store = store
        self._branches = branches
        self._history = history

    def paths(self, revision: str, pattern: str) -> list[Match]:
        """Paths of a commit in which a regular expression is found; raises Invalid, NotFound."""
        wanted = _compiled(pattern)
        tree = self._store.tree(self._branches.resolve(revision))
        return [Match(path) for path in tree if wanted.search(path)]

    def lines(
        self, revision: str, pattern: str, below: bytes, step: Callable[[int, int], None]
    ) -> Iterator[Match]:
        """Lines of a commit's files in which a regular expression is found.

        `below` is a path: only it and what is in it are read. `step` gets the bytes read, and those
        in all. Raises Invalid, NotFound, BadImage.
        """
        wanted = _compiled(pattern)
        tree = self._store.tree(self._branches.resolve(revision))
        files = {
            path: node
            for path, node in tree.items()
            if node.kind in {Kind.FILE, Kind.INLINE} and _is_in(path, below)
        }
        total, done = sum(node.size for node in files.values()), 0
        for path, node in files.items():
            yield from _found(path, self._content(node), wanted)
            done += node.size
            step(done, total)

    def blame(self, revision: str, path: bytes) -> LogEntry:
        """The commit that made a path what it is in a revision, by first parents.

        The oldest that is on this node, where those before it are not. Raises Invalid, NotFound.
        """
        name = self._branches.resolve(revision)
        line = self._line(name, path)
        if line is None:
            raise NotFound(f"{manifests.escape(path)} is not in {revision}.")
        while parents := self._store.commit(name).parents:
            try:
                if self._line(parents[0], path) != line:
                    break
            except NotFound:
                break
            name = parents[0]
        return self._history.entry(name)

    def _line(self, name: str, path: bytes) -> Node | None:
        text = self._store.manifest(self._store.commit(name).manifest)
        node = manifests.find(text, path)
        if node is not None and node.kind == Kind.HARDLINK:
            return manifests.find(text, node.payload)
        return node

    def _content(self, node: Node) -> bytes:
        if node.kind == Kind.FILE:
            return self._store.content(node.payload.decode())
        return node.payload


def _compiled(pattern: str) -> re.Pattern[bytes]:
    try:
        return re.compile(pattern.encode())
    except re.error as error:
        raise Invalid(f"{pattern!r} is not a regular expression: {error}") from error


def _is_in(path: bytes, below: bytes) -> bool:
    folder = below.rstrip(b"/")
    return path == folder or path.startswith(folder + b"/")


def _found(path: bytes, content: bytes, wanted: re.Pattern[bytes]) -> Iterator[Match]:
    if b"\0" in content[:_TEXT_PROBE]:
        if wanted.search(content) is not None:
            yield Match(path)
        return
    for number, line in enumerate(content.split(b"\n"), start=1):
        if wanted.search(line):
            yield Match(path, number, line[:LINE_MAX])
