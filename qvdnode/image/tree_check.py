"""Checks an unpacked image as a whole: a Linux root with the session contract in it. Blocks."""

import errno
import os
import platform
import stat
from pathlib import Path
from typing import Final

from qvdnode.host import linux_calls
from qvdnode.image.contents import ImageRoot
from qvdnode.image.core import session_needs, session_version
from qvdnode.model.errors import BadImage

_NEEDED_FOLDERS: Final = {
    "dev": 0o755, "etc": 0o755, "home": 0o755, "proc": 0o555, "run": 0o755, "sys": 0o555,
    "tmp": 0o1777,
}  # fmt: skip
_NEEDED_FILES: Final = ("etc/passwd", "etc/group", "etc/shadow")
_PROGRAMS: Final = (session_needs.SCRIPT, session_needs.INIT)
_MACHINES: Final = {"x86_64": 62, "aarch64": 183, "riscv64": 243, "ppc64le": 21, "s390x": 22}
_READ: Final = os.O_RDONLY | os.O_NONBLOCK
_SCRIPT_MAX: Final = 1024 * 1024


def check(root: Path, *, complete: bool = True) -> None:
    """Raise BadImage unless a guest can start from `root`.

    Empty mount points that are missing are made, or refused without `complete`.
    """
    handle = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        _check_shell(handle)
        with ImageRoot(root) as image:
            missing = session_needs.without_session(image.has)
        if missing is not None:
            raise BadImage(missing)
        _check_programs(handle)
        _check_folders(root, make=complete)
        for name in _NEEDED_FILES:
            _read(handle, name, 1, f"/{name} is missing: this is not a complete root file system")
    finally:
        os.close(handle)


def _check_shell(root: int) -> None:
    missing = "only Linux images can be imported, and this one has no program /bin/sh"
    head = _read(root, "bin/sh", 20, missing)
    if head[:4] != b"\x7fELF":
        raise BadImage(missing)
    machine = int.from_bytes(head[18:20], "little" if head[5:6] == b"\x01" else "big")
    if machine != _MACHINES.get(platform.machine(), machine):
        raise BadImage(f"the image is for another kind of processor than {platform.machine()}")


def _check_programs(root: int) -> None:
    for name in _PROGRAMS:
        script = _read(
            root, name, _SCRIPT_MAX,
            f"/{name} is not a plain file: docs/protocol/session-script.md says what images need",
            executable=True,
        )  # fmt: skip
        if name.endswith("session"):
            session_version.check(script)


def _check_folders(root: Path, *, make: bool) -> None:
    for name, mode in _NEEDED_FOLDERS.items():
        folder = root / name
        if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
            raise BadImage(f"/{name} must be a folder")
        if not folder.exists() and not make:
            raise BadImage(f"/{name} is missing: make that folder, and commit again")
        if not folder.exists():
            folder.mkdir()
            folder.chmod(mode)


def _read(root: int, name: str, size: int, otherwise: str, *, executable: bool = False) -> bytes:
    try:
        handle = linux_calls.open_in_root(root, name, _READ)
    except OSError as error:
        if error.errno in {errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENXIO}:
            raise BadImage(otherwise) from error
        raise
    try:
        mode = os.fstat(handle).st_mode
        if not stat.S_ISREG(mode):
            raise BadImage(otherwise)
        if executable and not mode & stat.S_IXUSR:
            raise BadImage(f"/{name} is not executable")
        return os.read(handle, size)
    finally:
        os.close(handle)
