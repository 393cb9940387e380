"""What commits there are and what differs between them, for people. Everything blocks."""

from dataclasses import dataclass

from qvdnode.image.core import image_diff
from qvdnode.image.core import manifest as manifests
from qvdnode.image.core.commit import SHORT, Commit
from qvdnode.image.core.commit_log import newest_first
from qvdnode.image.core.image_diff import DPKG_STATUS, PackageChange, PathChange
from qvdnode.image.core.manifest import Kind
from qvdnode.image.store.branches import Branches
from qvdnode.image.store.repository import Repository
from qvdnode.model.errors import NotFound


@dataclass(frozen=True, slots=True)
class LogEntry:
    """One commit of a log."""

    name: str
    commit: Commit
    refs: tuple[str, ...]
    """Branches and tags that point to it, by their short names."""


class History:
    """The history of one store."""

    def __init__(self, store: Repository, branches: Branches) -> None:
        self._store = store
        self._branches = branches

    def log(self, revision: str, limit: int | None = None) -> list[LogEntry]:
        """A commit and those before it that are here, newest first.

        Raises Invalid, NotFound, BadImage.
        """
        refs = self.refs()
        start = self._branches.resolve(revision)
        listed = newest_first(start, lambda name: self._commit(name, start), limit)
        return [LogEntry(name, commit, tuple(refs.get(name, ()))) for name, commit in listed]

    def entry(self, revision: str) -> LogEntry:
        """One commit; raises Invalid, NotFound, BadImage."""
        name = self._branches.resolve(revision)
        return LogEntry(name, self._store.commit(name), tuple(self.refs().get(name, ())))

    def refs(self) -> dict[str, list[str]]:
        """The short names of branches and tags, by the commit they point to."""
        found: dict[str, list[str]] = {}
        for ref, name in self._branches.all().items():
            found.setdefault(name, []).append(ref.short)
        return found

    def pair(self, old: str, new: str | None) -> tuple[str | None, str]:
        """The commits to compare: two revisions, or one with the commit before it.

        None stands before a first commit. Raises Invalid, NotFound, BadImage.
        """
        first = self._branches.resolve(old)
        if new is not None:
            return first, self._branches.resolve(new)
        parents = self._store.commit(first).parents
        before = parents[0] if parents else None
        if before is not None and self._commit(before, first) is None:
            raise NotFound(f"The commit before {old}, {before[:SHORT]}, is not on this node.")
        return before, first

    def diff(self, old: str | None, new: str) -> list[PathChange]:
        """The changed paths between two commits; raises NotFound, BadImage."""
        return image_diff.compare(self._text(old), self._text(new))

    def package_diff(self, old: str | None, new: str) -> list[PackageChange]:
        """The changed Debian packages between two commits; raises NotFound, BadImage."""
        return image_diff.compare_packages(self.packages(old), self.packages(new))

    def packages(self, name: str | None) -> dict[str, str]:
        """The installed Debian packages of a commit; none where it has no dpkg."""
        text = self._text(name)
        node = manifests.find(text, DPKG_STATUS)
        if node is not None and node.kind == Kind.HARDLINK:
            node = manifests.find(text, node.payload)
        if node is None:
            return {}
        if node.kind == Kind.FILE:
            return image_diff.packages(self._store.content(node.payload.decode()))
        return image_diff.packages(node.payload)

    def _commit(self, name: str, start: str) -> Commit | None:
        try:
            return self._store.commit(name)
        except NotFound:
            if name == start:
                raise
            return None  # a node that fetched a commit need not have those before it

    def _text(self, name: str | None) -> bytes:
        if name is None:
            return manifests.HEADER
        return self._store.manifest(self._store.commit(name).manifest)
