"""Puts the layers of an OCI image on top of each other; pure.

Names are those of layer archives. `.wh.NAME` deletes NAME of the layers below, `.wh..wh..opq` all
that they have in its folder. A path may lead through symbolic links of the image itself, as those
of layers do whose base has `bin -> usr/bin`; it never leads out of the root.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, NoReturn

from qvdnode.image.core.entry import Entry, EntryKind, clean_path
from qvdnode.model.errors import BadImage

WHITEOUT: Final = ".wh."
OPAQUE: Final = ".wh..wh..opq"
AUFS: Final = ".wh..wh."
"""Starts the names of what an old storage driver kept for itself."""
LINKS_MAX: Final = 40
"""Symbolic links on one path."""

Place = tuple[int, int]
"""Where an entry is: the number of its layer, and its own in that."""


@dataclass(slots=True)
class File:
    """Anything but a folder; several paths may have it."""

    entry: Entry
    place: Place


@dataclass(slots=True)
class Folder:
    """A folder with what is in it."""

    entry: Entry | None
    """None for one that no layer has named."""
    layer: int
    """The last one that made it."""
    children: dict[str, "Folder | Leaf"] = field(default_factory=dict)


@dataclass(slots=True)
class Leaf:
    """A path that leads to a file."""

    file: File
    layer: int


class LayerTree:
    """The tree of the layers so far."""

    def __init__(self) -> None:
        self._root = Folder(None, 0)
        self._layer = -1
        self._number = 0

    def begin(self) -> None:
        """The next layer follows."""
        self._layer += 1
        self._number = 0

    def take(self, entry: Entry) -> None:
        """One entry of the layer; raises BadImage."""
        number, self._number = self._number, self._number + 1
        path = clean_path(entry.name.lstrip("/"))
        if not path:
            self._root.entry = _folder(entry)
            return
        name = path[-1]
        if name.startswith(WHITEOUT):
            self._delete(path)
            return
        folder = self._parent(path[:-1])
        if entry.kind is EntryKind.FOLDER:
            self._make_folder(folder, name, entry)
        elif entry.kind is EntryKind.HARDLINK:
            folder.children[name] = Leaf(self._target(entry), self._layer)
        else:
            folder.children[name] = Leaf(File(entry, (self._layer, number)), self._layer)

    def folders(self) -> Iterator[tuple[str, Entry | None]]:
        """Every folder, those above before those in them; the root is ''."""
        for path, node in self._walk():
            if isinstance(node, Folder):
                yield path, node.entry

    def files(self) -> dict[Place, tuple[File, list[str]]]:
        """Every file with its paths, by where it is."""
        found: dict[Place, tuple[File, list[str]]] = {}
        for path, node in self._walk():
            if isinstance(node, Leaf):
                found.setdefault(node.file.place, (node.file, []))[1].append(path)
        return found

    def _walk(self) -> Iterator[tuple[str, Folder | Leaf]]:
        waiting: list[tuple[str, Folder | Leaf]] = [("", self._root)]
        while waiting:
            path, node = waiting.pop()
            yield path, node
            if isinstance(node, Folder):
                above = f"{path}/" if path else ""
                below = sorted(node.children.items(), reverse=True)
                waiting.extend((above + name, child) for name, child in below)

    def _make_folder(self, folder: Folder, name: str, entry: Entry) -> None:
        there = folder.children.get(name)
        if isinstance(there, Folder):
            there.entry, there.layer = entry, self._layer
        else:
            folder.children[name] = Folder(entry, self._layer)

    def _parent(self, path: tuple[str, ...]) -> Folder:
        found = self._look(path, make=True)
        if not isinstance(found, Folder):
            _refuse(f"{'/'.join(path)!r} is not a folder, and something is in it")
        return found

    def _target(self, entry: Entry) -> File:
        path = clean_path(entry.target.lstrip("/"))
        folder = self._look(path[:-1], make=False) if path else None
        found = folder.children.get(path[-1]) if isinstance(folder, Folder) else None
        if not isinstance(found, Leaf):
            _refuse(f"the hard link {entry.name!r} leads to {entry.target!r}, which is not a file")
        return found.file

    # as one loop it reads as the walk that it is
    def _look(  # noqa: C901, PLR0912 - as above
        self, path: tuple[str, ...], *, make: bool
    ) -> "Folder | Leaf | None":
        """What is at a path, through links; folders that are missing are made if `make`."""
        waiting = list(reversed(path))
        above: list[Folder] = [self._root]
        hops = 0
        while waiting:
            name = waiting.pop()
            if name in {"", "."}:
                continue
            if name == "..":
                if len(above) > 1:
                    above.pop()
                continue
            here = above[-1]
            node = here.children.get(name)
            if node is None:
                if not make:
                    return None
                node = here.children[name] = Folder(None, self._layer)
            if isinstance(node, Folder):
                if make:  # what is put into it belongs to this layer, and so does the way to it
                    node.layer = self._layer
                above.append(node)
                continue
            if node.file.entry.kind is not EntryKind.SYMLINK:
                return None if waiting else node
            hops += 1
            if hops > LINKS_MAX:
                _refuse(f"{'/'.join(path)!r} leads through too many links")
            target = node.file.entry.target
            if target.startswith("/"):
                above = [self._root]
            waiting.extend(reversed(target.split("/")))
        return above[-1]

    def _delete(self, path: tuple[str, ...]) -> None:
        folder, name = self._look(path[:-1], make=False), path[-1]
        if not isinstance(folder, Folder):
            return  # nothing is there to be deleted
        if name == OPAQUE:
            self._hide_below(folder)
        elif not name.startswith(AUFS):
            self._hide(folder, _deleted(name))

    def _hide(self, folder: Folder, name: str) -> None:
        """Delete what the layers below have of a name."""
        node = folder.children.get(name)
        if node is None:
            return
        if node.layer < self._layer:
            del folder.children[name]
        elif isinstance(node, Folder):
            self._hide_below(node)

    def _hide_below(self, folder: Folder) -> None:
        for name in list(folder.children):
            self._hide(folder, name)


def _deleted(name: str) -> str:
    name = name.removeprefix(WHITEOUT)
    if name in {"", ".", ".."}:
        _refuse("a layer deletes something without a name")
    return name


def _folder(entry: Entry) -> Entry:
    if entry.kind is not EntryKind.FOLDER:
        _refuse("the root of a layer is not a folder")
    return entry


def _refuse(why: str) -> NoReturn:
    raise BadImage(why)
