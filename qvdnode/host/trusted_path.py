"""Checks that no other user of the host can change or replace the file or folder at a path.

Root must not keep secrets, read its configuration or work in a place that somebody else controls: a
folder that another user owns or may write lets them swap what is in it, at any moment. So a path is
walked from `/` with open descriptors, links resolved by hand, and each folder, link and file on the
way must belong to root or to this program's user. A folder that others may write will do as a step
on the way if it is sticky, as /tmp is: what belongs to us there is safe.

The group's write bit covers ACLs too: with an ACL it is the mask of all that the ACL allows.
"""

import errno
import os
import pwd
import stat
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from enum import Enum
from pathlib import Path
from typing import Final

from qvdnode.model.errors import HostFailed

STEP: Final = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
LINKS_MAX: Final = 40
WRITABLE_BY_OTHERS: Final = stat.S_IWGRP | stat.S_IWOTH


class PathUse(Enum):
    """What a path is used for, which decides the check of its last part."""

    OWN_FOLDER = "folder"
    """Nobody else may write it."""
    SHARED_FOLDER = "shared folder"
    """Others may write it if it is sticky: for files that are made by runtime/safe_files.py."""
    FILE = "file"


@contextmanager
def trusted(path: Path, use: PathUse, *, make_mode: int | None = None) -> Iterator[int]:
    """An O_PATH descriptor of what is at `path`.

    With `make_mode` the folders that are missing are made: those above with 0755, the last with
    that mode. Raises HostFailed, which names the part that somebody else controls and what to do,
    and OSError.
    """
    walk = _Walk(make_mode)
    try:
        walk.to(path)
        _judge_end(walk.here, path, use)
        yield walk.here
    finally:
        os.close(walk.here)


def require(path: Path, use: PathUse, *, make_mode: int | None = None) -> None:
    """Raise as `trusted` does. The result stays valid, since no other user can change it."""
    with trusted(path, use, make_mode=make_mode):
        pass


def without_links(path: Path) -> Path:
    """The path with links resolved as far as it exists, made absolute.

    Raises HostFailed for a link that another user made in a folder of everybody's, which could lead
    anywhere, and OSError.
    """
    walk = _Walk(None, parents_matter=False)
    try:
        walk.to(path)
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return walk.at.joinpath(*walk.left)
    finally:
        os.close(walk.here)
    return walk.at


class _Walk:
    """Walks a path from `/`, one part at a time."""

    def __init__(self, make_mode: int | None, *, parents_matter: bool = True) -> None:
        self._make_mode = make_mode
        self._parents_matter = parents_matter
        self._links = 0
        self.here = os.open("/", STEP | os.O_DIRECTORY)
        self.at = Path("/")
        self.left: deque[str] = deque()

    def to(self, path: Path) -> None:
        """Go there; `here`, `at` and `left` tell how far it went."""
        self.left = deque(path.absolute().parts[1:])
        while self.left:
            if self._parents_matter:
                _judge_parent(os.fstat(self.here), self.at)
            name = self.left[0]
            step = self._open(name)
            facts = os.fstat(step)
            if stat.S_ISLNK(facts.st_mode):
                try:
                    target = self._target(step, facts, self.at / name)
                finally:
                    os.close(step)
                self.left.popleft()
                self._follow(target)
            else:
                self._enter(step, self.at.parent if name == ".." else self.at / name)
                self.left.popleft()

    def _open(self, name: str) -> int:
        try:
            return os.open(name, STEP, dir_fd=self.here)
        except FileNotFoundError:
            if self._make_mode is None:
                raise
        mode = self._make_mode if len(self.left) == 1 else 0o755
        # if somebody makes it in the same moment, its owner will show
        with suppress(FileExistsError):
            os.mkdir(name, mode, dir_fd=self.here)
        return os.open(name, STEP, dir_fd=self.here)

    def _target(self, link: int, facts: os.stat_result, at: Path) -> Path:
        self._links += 1
        if self._links > LINKS_MAX:
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(at))
        if facts.st_uid not in _trusted_users():
            raise HostFailed(
                f"{at} is a link that belongs to {_owner(facts)}, who can have it lead elsewhere: "
                "remove it, or choose another path"
            )
        return Path(os.readlink("", dir_fd=link))

    def _follow(self, target: Path) -> None:
        if target.is_absolute():
            self._enter(os.open("/", STEP | os.O_DIRECTORY), Path("/"))
        names = target.parts[1:] if target.is_absolute() else target.parts
        self.left.extendleft(reversed(names))

    def _enter(self, step: int, at: Path) -> None:
        os.close(self.here)
        self.here, self.at = step, at


def _trusted_users() -> frozenset[int]:
    return frozenset({0, os.geteuid()})


def _judge_parent(facts: os.stat_result, at: Path) -> None:
    _judge_owner(facts, at)
    if facts.st_mode & WRITABLE_BY_OTHERS and not facts.st_mode & stat.S_ISVTX:
        raise _writable(at)


def _judge_end(end: int, path: Path, use: PathUse) -> None:
    facts = os.fstat(end)
    if use is PathUse.FILE:
        if not stat.S_ISREG(facts.st_mode):
            raise HostFailed(f"{path} is not a regular file")
    elif not stat.S_ISDIR(facts.st_mode):
        raise HostFailed(f"{path} is not a folder")
    if use is PathUse.SHARED_FOLDER:
        _judge_parent(facts, path)
        return
    _judge_owner(facts, path)
    if facts.st_mode & WRITABLE_BY_OTHERS:
        raise _writable(path)


def _judge_owner(facts: os.stat_result, at: Path) -> None:
    if facts.st_uid not in _trusted_users():
        raise HostFailed(
            f"{at} belongs to {_owner(facts)}, who could replace what is in it or below it: check "
            f"its contents, then run `chown {_me()} {at}`, or choose another path"
        )


def _writable(at: Path) -> HostFailed:
    return HostFailed(
        f"other users may write {at} (its mode or an ACL says so) and could replace what is in it "
        f"or below it: check its contents, then run `chmod go-w {at}`, or choose another path"
    )


def _owner(facts: os.stat_result) -> str:
    try:
        return f"the user {pwd.getpwuid(facts.st_uid).pw_name}"
    except KeyError:
        return f"the user id {facts.st_uid}"


def _me() -> str:
    return "root" if os.geteuid() == 0 else str(os.geteuid())
