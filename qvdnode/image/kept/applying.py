"""Carries a rebase out on the files of a kept overlay, so that a crash or an undo loses nothing.

disk/
    upper/          what the desktop changed
    work/           of the overlay
    rebase/plan     the steps of a rebase, written before the first of them
    rebase/new/     files that are going to be put into the upper folder
    undo/plan       the steps of the last rebase
    undo/old/       what it took out of the upper folder

Each step is a rename or a change of attributes, and can be repeated. Everything blocks.
"""

import json
import os
import shutil
import stat
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from qvdnode.image.core.guest_ids import CAPABILITY, shifted_acl
from qvdnode.image.core.manifest import ACLS, Kind, Node, keeps_xattr
from qvdnode.image.core.rebase import BASE_NEW, USER_OLD, Action, Decision, Version
from qvdnode.image.kept.ownership import capability_of
from qvdnode.image.store.repository import Repository
from qvdnode.model.errors import BadImage
from qvdnode.model.guest import IdRange
from qvdnode.runtime.safe_files import replace_file


@dataclass(frozen=True, slots=True)
class Step:
    """One change of the upper folder; paths are as os.fsdecode gives them, from its root."""

    verb: str
    """take, put, move, folder, set (mode and owner) or mark (an extended attribute)."""
    path: str
    number: int = 0
    """Number of the file in rebase/new or undo/old."""
    to: str = ""
    """Where `move` renames it to; the name of the attribute for `mark`."""
    before: tuple[int, int, int] | None = None
    """Mode, uid and gid that `set` replaced, or of a folder that was taken; on the host."""
    after: tuple[int, int, int] | None = None
    old: str | None = None
    """The value of the attribute in hexadecimal; None for none."""
    value: str | None = None


class KeptFiles:
    """The files of one kept overlay, which nobody uses now."""

    def __init__(self, disk: Path, ids: IdRange, store: Repository) -> None:
        self.upper = disk / "upper"
        self._rebase, self._undo = disk / "rebase", disk / "undo"
        self._disk = disk
        self._ids = ids
        self._store = store

    def stage(self, decisions: Sequence[Decision], new: Version, to_commit: str) -> None:
        """Prepare what `apply` does; nothing of the overlay is changed. Raises OSError, BadImage.

        A full disk raises, and leaves what the next `stage` removes.
        """
        shutil.rmtree(self._rebase, ignore_errors=True)
        (self._rebase / "new").mkdir(parents=True, mode=0o700)
        steps = list(self._steps(decisions, new))
        # First the files, then the plan that names them: whoever finds a plan finds all of it.
        self._store.files.sync_all(self._disk)
        plan = {"commit": to_commit, "steps": [asdict(step) for step in steps]}
        replace_file(self._rebase / "plan", json.dumps(plan).encode())

    def staged(self) -> str | None:
        """The commit of a rebase that is prepared, maybe begun; None without one."""
        plan = _plan(self._rebase)
        return None if plan is None else str(plan["commit"])

    def apply(self, from_commit: str) -> None:
        """Do what is prepared; safe to repeat. Raises OSError."""
        plan = _plan(self._rebase)
        if plan is None:
            return
        # A crash may come at any step. Until `begun` is there, the undo of the rebase before may be
        # thrown away; from then on each step is one rename, which a repetition finds done.
        if not (self._rebase / "begun").exists():
            shutil.rmtree(self._undo, ignore_errors=True)
            (self._undo / "old").mkdir(parents=True, mode=0o700)
            undo = {**plan, "commit": from_commit}
            replace_file(self._undo / "plan", json.dumps(undo).encode())
            (self._rebase / "begun").touch()
        for step in _steps(plan):
            self._do(step)
        self._store.files.sync_all(self._disk)

    def finish(self) -> None:
        """Forget the prepared rebase, once the caller has noted the new commit."""
        shutil.rmtree(self._rebase, ignore_errors=True)

    def undoes_to(self) -> str | None:
        """The commit that `undo` leads to; None when there is nothing to undo."""
        plan = _plan(self._undo)
        return None if plan is None else str(plan["commit"])

    def undo(self) -> str:
        """Put back what the last rebase took, and return the commit it came from.

        What the desktop has made since stays; where both are in the way the newer goes to
        PATH.user-old. Raises BadImage when there is nothing to undo, OSError.
        """
        if (plan := _plan(self._undo)) is None:
            raise BadImage("there is no rebase to undo")
        # Backwards, so that a folder is there again before what was in it.
        for step in reversed(_steps(plan)):
            self._take_back(step)
        self._store.files.sync_all(self._disk)
        shutil.rmtree(self._undo, ignore_errors=True)
        return str(plan["commit"])

    def _steps(self, decisions: Sequence[Decision], new: Version) -> Iterator[Step]:
        number = 0
        # What is in a folder comes before the folder, which can then be removed.
        for made in sorted(decisions, key=lambda made: made.path, reverse=True):
            path = os.fsdecode(made.path)
            match made.action:
                case Action.KEEP:
                    continue
                case Action.DROP:
                    number += 1
                    yield Step("take", path, number, before=self._facts(path))
                case Action.ASIDE:
                    yield Step("move", path, to=path + os.fsdecode(USER_OLD))
                case Action.ATTRIBUTES:
                    yield from self._set(path, made.node)
                case Action.REPLACE:
                    number += 1
                    self._new(number, made.node, made.content)
                    yield Step("take", path, number, before=self._facts(path))
                    yield Step("put", path, number)
                case Action.HIDE:
                    number += 1
                    # A whiteout: by a device 0:0 overlayfs hides a name that a lower layer has.
                    os.mknod(self._rebase / "new" / str(number), stat.S_IFCHR, os.makedev(0, 0))
                    yield from self._parents(made.path, new)
                    yield Step("put", path, number)
            if made.beside is not None:
                number += 1
                self._new(number, made.beside, None)
                yield Step("put", path + os.fsdecode(BASE_NEW), number)

    def _parents(self, path: bytes, new: Version) -> Iterator[Step]:
        """Folders that the upper folder lacks above a path."""
        above = path.rpartition(b"/")[0]
        missing = []
        while above and not os.path.lexists(self._place(os.fsdecode(above))):
            missing.append(above)
            above = above.rpartition(b"/")[0]
        for folder in reversed(missing):
            node = new.node(folder)
            if node is not None:
                yield Step("folder", os.fsdecode(folder), after=self._owner(node))

    def _set(self, path: str, node: Node | None) -> Iterator[Step]:
        before = self._facts(path)
        if node is None:
            return
        if (after := self._owner(node)) != before:
            yield Step("set", path, before=before, after=after)
        there, wanted = _xattrs(self._place(path)), self._own_xattrs(node)
        for name in sorted(there.keys() | wanted.keys()):
            if there.get(name) != wanted.get(name):
                yield Step("mark", path, to=name, old=there.get(name), value=wanted.get(name))

    def _own_xattrs(self, node: Node) -> dict[str, str]:
        return {
            os.fsdecode(name): self._own_value(name, value).hex() for name, value in node.xattrs
        }

    def _own_value(self, name: bytes, value: bytes) -> bytes:
        """The value as the guest's files on the host have it."""
        start = self._ids.start
        if name == CAPABILITY:
            return capability_of(value, start)
        return shifted_acl(value, lambda number: number + start) if name in ACLS else value

    def _facts(self, path: str) -> tuple[int, int, int]:
        # The upper folder is the guest's: no call here follows a link of it.
        facts = self._place(path).lstat()
        return stat.S_IMODE(facts.st_mode), facts.st_uid, facts.st_gid

    def _owner(self, node: Node) -> tuple[int, int, int]:
        return node.mode, node.uid + self._ids.start, node.gid + self._ids.start

    def _place(self, path: str) -> Path:
        return self.upper / path.lstrip("/")

    def _new(self, number: int, node: Node | None, content: bytes | None) -> None:
        if node is None:
            raise AssertionError("a file that is put has attributes")
        place = self._rebase / "new" / str(number)
        if node.kind == Kind.SYMLINK:
            place.symlink_to(os.fsdecode(node.payload))
        elif content is not None or node.kind == Kind.INLINE:
            place.write_bytes(node.payload if content is None else content)
        elif node.kind == Kind.FILE:
            shutil.copyfile(self._store.places.object(node.payload.decode()), place)
        else:
            raise BadImage("a special file of the image cannot be merged")
        mode, uid, gid = self._owner(node)
        os.chown(place, uid, gid, follow_symlinks=False)
        if node.kind != Kind.SYMLINK:
            place.chmod(mode)
        for name, value in self._own_xattrs(node).items():
            os.setxattr(place, name, bytes.fromhex(value), follow_symlinks=False)
        os.utime(place, ns=(node.mtime_ns, node.mtime_ns), follow_symlinks=False)

    def _do(self, step: Step) -> None:
        place = self._place(step.path)
        if not self._is_inside(place):
            return  # a folder above it is a link by now
        match step.verb:
            case "take":
                _take(place, self._undo / "old" / str(step.number))
            case "put":
                _rename(self._rebase / "new" / str(step.number), place)
            case "mark":
                _mark(place, step.to, step.value)
            case "move":
                _rename(place, self._place(step.to))
            case "folder":
                with suppress(FileExistsError):
                    place.mkdir()
                _give(place, step.after)
            case _:
                _give(place, step.after)

    def _take_back(self, step: Step) -> None:
        place = self._place(step.path)
        # The desktop ran since: its root may have put a link to anywhere in a folder's place.
        if step.verb == "take":
            self._make_folders(place)
        if not self._is_inside(place):
            return
        match step.verb:
            case "take":
                old = self._undo / "old" / str(step.number)
                if os.path.lexists(old):
                    _make_way(place)
                    old.rename(place)
                elif not os.path.lexists(place):  # it was a folder
                    place.mkdir()
                    _give(place, step.before)
            case "put":
                with suppress(FileNotFoundError):
                    place.unlink()
            case "move":
                _make_way(place)
                _rename(self._place(step.to), place)
            case "set":
                _give(place, step.before)
            case "mark":
                _mark(place, step.to, step.old)
            case _:
                with suppress(OSError):
                    place.rmdir()

    def _make_folders(self, place: Path) -> None:
        """The folders above it; what is no folder there makes way for one."""
        above = self.upper
        for part in place.relative_to(self.upper).parts[:-1]:
            above /= part
            if above.is_symlink() or not above.is_dir():
                _make_way(above)
                above.mkdir()

    def _is_inside(self, place: Path) -> bool:
        """Whether no folder above it is a link, which could lead to files of the host."""
        above = self.upper
        for part in place.relative_to(self.upper).parts[:-1]:
            above /= part
            if above.is_symlink() or not above.is_dir():
                return False
        return True


def _take(place: Path, old: Path) -> None:
    """Move a file out of the way; a folder is removed if nothing is in it."""
    try:
        if stat.S_ISDIR(place.lstat().st_mode):
            with suppress(OSError):
                place.rmdir()
        elif not os.path.lexists(old):  # taken already, and put since
            place.rename(old)
    except FileNotFoundError:
        return


def _rename(source: Path, target: Path) -> None:
    with suppress(FileNotFoundError):  # done already
        source.rename(target)


def _make_way(place: Path) -> None:
    if os.path.lexists(place):
        newer = place.with_name(place.name + os.fsdecode(USER_OLD))
        if newer.is_dir() and not newer.is_symlink():
            shutil.rmtree(newer)
        place.rename(newer)


def _give(place: Path, owner: Sequence[int] | None) -> None:
    if owner is None:
        return
    with suppress(FileNotFoundError):
        os.chown(place, owner[1], owner[2], follow_symlinks=False)
        if not place.is_symlink():
            place.chmod(owner[0])


def _xattrs(place: Path) -> dict[str, str]:
    names = [
        name for name in os.listxattr(place, follow_symlinks=False)
        if keeps_xattr(os.fsencode(name))
    ]  # fmt: skip
    return {name: os.getxattr(place, name, follow_symlinks=False).hex() for name in names}


def _mark(place: Path, name: str, value: str | None) -> None:
    with suppress(FileNotFoundError):
        if value is not None:
            os.setxattr(place, name, bytes.fromhex(value), follow_symlinks=False)
        elif name in os.listxattr(place, follow_symlinks=False):
            os.removexattr(place, name, follow_symlinks=False)


def _plan(folder: Path) -> dict[str, Any] | None:
    try:
        plan = json.loads((folder / "plan").read_bytes())
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise BadImage(f"{folder / 'plan'} is damaged") from error
    return plan if isinstance(plan, dict) else None


def _steps(plan: dict[str, Any]) -> list[Step]:
    return [Step(**step) for step in plan["steps"]]
