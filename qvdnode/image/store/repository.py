"""Commits, manifests and objects of one store. Everything blocks; call it in a thread or a child.

A commit is made in this order, so that a crash at any point leaves a valid store: content is on the
disk before it has its name, then the manifest, the commit, and last what points to the commit.
What a crash leaves without a name that leads to it is removed by the collection (collect.py).
"""

import secrets
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from qvdnode.image.core import commit as commits
from qvdnode.image.core import erofs
from qvdnode.image.core import manifest as manifests
from qvdnode.image.core.commit import Commit
from qvdnode.image.core.manifest import Tree
from qvdnode.image.store.files import Files, HostFiles
from qvdnode.image.store.places import StorePlaces, locked
from qvdnode.model.errors import BadImage, HostFailed, NotFound

PACK_LEVEL: Final = 1
"""Of zlib: a higher one takes five times as long for a fifth less."""


@dataclass(frozen=True, slots=True)
class Content:
    """What is to be committed."""

    tree: Tree
    fresh: Mapping[str, Path] = field(default_factory=dict)
    """Objects that the store may lack, as files on its file system; they are moved into it."""


@dataclass(frozen=True, slots=True)
class About:
    """What is told about a commit."""

    author: str
    made_at: int
    message: str = ""
    source: str = ""
    parents: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Prepared:
    """What the store keeps of a tree beside its objects, made before it is written."""

    manifest: bytes
    """The text, packed."""
    metadata: bytes
    """The EROFS image."""


def _nothing(_name: str) -> None:
    """Point nothing to the commit."""


class Repository:
    """One store; `files` is what it changes the disk with."""

    def __init__(self, root: Path, files: Files | None = None) -> None:
        self.places = StorePlaces(root)
        self.files = files or HostFiles()

    def exists(self) -> bool:
        """Whether there is a store; nothing is made."""
        return self.places.commits.is_dir()

    def prepare(self) -> None:
        """Make the folders of an empty store, if missing; raises HostFailed."""
        with told(f"the store {self.places.root} cannot be made"):
            for folder in self.places.folders():
                if not folder.is_dir():
                    self.files.make_folder(folder)

    @contextmanager
    def shared(self) -> Iterator[None]:
        """Keep collections away while objects are named or leases taken; raises HostFailed."""
        with told("the store cannot be locked"), self._lock(exclusive=False):
            yield

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """Keep everybody else away; raises HostFailed."""
        with told("the store cannot be locked"), self._lock(exclusive=True):
            yield

    def work_folder(self) -> Path:
        """A new empty folder for files that are being written."""
        folder = self.places.tmp / secrets.token_hex(8)
        self.files.make_folder(folder)
        return folder

    def publish(
        self, content: Content, about: About, point: Callable[[str], None] = _nothing
    ) -> str:
        """Make a commit and return its name; `point` then makes something point to it.

        Raises HostFailed where the disk fails, BadImage when an object is neither in the store nor
        in `fresh`; then nothing points to the commit, and a collection removes what there is of it.
        """
        text = manifests.encode(content.tree)
        commit = Commit(
            manifest=manifests.name_of(text),
            parents=about.parents,
            author=about.author,
            made_at=about.made_at,
            message=about.message,
            source=about.source,
            size_bytes=sum(node.size for node in content.tree.values()),
            labels=dict(about.labels),
        )
        raw = commits.encode(commit)
        commits.decode(raw)  # refuses a text that is too long before anything is written
        return self._write(raw, text, content, point)

    def adopt(
        self,
        raw: bytes,
        text: bytes,
        tree: Tree,
        fresh: Mapping[str, Path],
        point: Callable[[str], None] = _nothing,
        prepared: Prepared | None = None,
    ) -> str:
        """Take in a commit that another store made, with its manifest; returns its name.

        The files of `fresh` are as `open_new` makes them. Raises as `publish`.
        """
        if manifests.name_of(text) != commits.decode(raw).manifest:
            raise BadImage("the manifest is not the one of the commit")
        made = prepared or self.prepared(text, tree)
        return self._write(raw, text, Content(tree, fresh), point, made)

    def prepared(self, text: bytes, tree: Tree) -> Prepared:
        """What is kept of a tree beside its objects."""
        return Prepared(zlib.compress(text, PACK_LEVEL), erofs.image_of(tree))

    def _write(
        self,
        raw: bytes,
        text: bytes,
        content: Content,
        point: Callable[[str], None],
        prepared: Prepared | None = None,
    ) -> str:
        needed = manifests.digests(content.tree.values())
        name = commits.name_of(raw)
        with told("the commit cannot be written"):
            self.prepare()
            # Content is on the disk before it is named, and its names before the commit.
            self.files.sync_all(self.places.root)
            with self.shared():
                self._name_objects(needed, content.fresh, clean=prepared is not None)
                self._store_manifest(text, content.tree, prepared)
                self.files.sync_all(self.places.root)
                self.place(self.places.commit(name), raw)
                point(name)
        return name

    def commit(self, name: str) -> Commit:
        """A commit; raises NotFound, BadImage when it is damaged."""
        try:
            raw = self.places.commit(name).read_bytes()
        except FileNotFoundError as error:
            raise NotFound(f"There is no commit {name[: commits.SHORT]} here.") from error
        except OSError as error:
            raise HostFailed(f"the commit {name} cannot be read: {error.strerror}") from error
        if commits.name_of(raw) != name:
            raise BadImage(f"the commit {name} is damaged: its content has another digest")
        return commits.decode(raw)

    def manifest(self, name: str) -> bytes:
        """The text of a manifest; raises BadImage when it is missing or damaged."""
        try:
            unpacker = zlib.decompressobj()
            packed = self.places.manifest(name).read_bytes()
            text = unpacker.decompress(packed, manifests.MANIFEST_MAX)
        except FileNotFoundError as error:
            raise BadImage(f"the manifest {name} is missing") from error
        except zlib.error as error:
            raise BadImage(f"the manifest {name} is damaged: {error}") from error
        except OSError as error:
            raise HostFailed(f"the manifest {name} cannot be read: {error.strerror}") from error
        if manifests.name_of(text) != name:
            raise BadImage(f"the manifest {name} is damaged: its content has another digest")
        return text

    def tree(self, name: str) -> Tree:
        """The tree of a commit; raises NotFound, BadImage."""
        return manifests.decode(self.manifest(self.commit(name).manifest))

    def commit_names(self) -> list[str]:
        """The names of all commits."""
        return sorted(path.name for path in self.places.commits.glob("*"))

    def matching(self, digits: str) -> list[str]:
        """The names of the commits that start with these digits."""
        return sorted(path.name for path in self.places.commits.glob(f"{digits}*"))

    def write_metadata(self, manifest: str, tree: Tree) -> None:
        """Make the EROFS image of a manifest; raises OSError."""
        target = self.places.erofs(manifest)
        if not target.exists():
            self.place(target, erofs.image_of(tree))

    def content(self, digest: str) -> bytes:
        """The content of an object; raises BadImage when it is missing."""
        try:
            return self.places.object(digest).read_bytes()
        except OSError as error:
            raise BadImage(f"the object {digest} cannot be read: {error.strerror}") from error

    def _name_objects(
        self, needed: Mapping[str, int], fresh: Mapping[str, Path], *, clean: bool
    ) -> None:
        """Give objects their names; `clean` says that fresh ones have nothing to be stripped of."""
        folders: set[Path] = set()
        for digest, size in needed.items():
            target = self.places.object(digest)
            if _size(target) == size:
                continue
            if digest in fresh:
                if target.parent not in folders:
                    folders.add(target.parent)
                    self.files.make_folder(target.parent)
                if not clean:
                    self.files.strip(fresh[digest])
                self.files.rename(fresh[digest], target)
            elif _size(self.places.quarantined(digest)) == size:
                self.files.make_folder(target.parent)
                self.files.rename(self.places.quarantined(digest), target)
            else:
                raise BadImage(f"the object {digest} is missing or has another size")

    def _store_manifest(self, text: bytes, tree: Tree, prepared: Prepared | None) -> None:
        name = manifests.name_of(text)
        packed, metadata = self.places.manifest(name), self.places.erofs(name)
        if prepared is None:
            if not packed.exists():
                self.place(packed, zlib.compress(text, PACK_LEVEL))
            self.write_metadata(name, tree)
            return
        for target, content in ((packed, prepared.manifest), (metadata, prepared.metadata)):
            if not target.exists():
                self.place(target, content)

    def place(self, target: Path, content: bytes) -> None:
        """Write a file under its name, whole and on the disk, in place of one that is there.

        Raises OSError.
        """
        draft = self.places.tmp / secrets.token_hex(16)
        try:
            self.files.create(draft, content)
            self.files.rename(draft, target)
        except OSError:
            self.files.unlink(draft)
            raise
        self.files.sync(target.parent)

    @contextmanager
    def _lock(self, *, exclusive: bool) -> Iterator[None]:
        with locked(self.places.root / "lock", exclusive=exclusive):
            yield


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return None


@contextmanager
def told(what: str) -> Iterator[None]:
    """Turn an OSError into HostFailed with a sentence."""
    try:
        yield
    except OSError as error:
        where = f" ({error.filename})" if error.filename else ""
        raise HostFailed(f"{what}: {error.strerror}{where}") from error
