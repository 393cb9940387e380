"""The state folder: made at first start, checked at every start.

Guests enter it under shifted ids, so every folder above it needs o+x. That is checked and never
changed, since the folders above are not ours. No other user may control the folder: to replace
`tls/` gives the node's key, and to replace `lxc/` runs hooks as root.
"""

import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from qvdnode.host.system_account import closed_folder
from qvdnode.host.trusted_path import PathUse, require
from qvdnode.model.errors import HostFailed

IDENTITY: Final = "tls"
"""The node's certificate and key."""
FARM: Final = "farm"
"""What makes this host a node of its farm: keys, certificate, addresses of other nodes."""
PRIVATE: Final = (IDENTITY, FARM, "state", "past-starts", "docker")
SHARED: Final = ("images", "homes", "vms", "lxc", "kvm", "run")
LOOKED_INTO: Final = (IDENTITY, FARM, "state", "past-starts", "images", "lxc", "docker", "kvm")
"""What is in these is the node's alone; the other folders hold what guests own."""
DATABASE: Final = "pg"
"""Its account may own it; the embedded server sees to that."""


def prepare(state_dir: Path) -> None:
    """Make the folder and its parts.

    Raises HostFailed naming a parent that locks guests out, or what somebody else controls.
    """
    secure(state_dir)
    try:
        state_dir.chmod(0o711)
        for name in SHARED:
            require(state_dir / name, PathUse.OWN_FOLDER, make_mode=0o711)
            (state_dir / name).chmod(0o711)
        for name in PRIVATE:
            require(state_dir / name, PathUse.OWN_FOLDER, make_mode=0o700)
            (state_dir / name).chmod(0o700)
    except OSError as error:
        raise HostFailed(f"the state folder {state_dir} cannot be made: {error}") from error
    closed = closed_folder(state_dir)
    if closed is not None:
        raise HostFailed(
            f"guests cannot pass {closed}: run chmod o+x {closed}, or choose another node.state_dir"
        )


def secure(state_dir: Path) -> None:
    """Make the folder if it is missing; raises HostFailed when somebody else controls it.

    What was put into it by others before it became ours counts as well.
    """
    try:
        require(state_dir, PathUse.OWN_FOLDER, make_mode=0o711)
        for path in _own_things(state_dir):
            with suppress(FileNotFoundError):  # a node that serves has taken it away
                _refuse_foreign(path, path.lstat())
    except OSError as error:
        raise HostFailed(f"the state folder {state_dir} cannot be used: {error}") from error


def _own_things(state_dir: Path) -> Iterator[Path]:
    for path in sorted(state_dir.iterdir()):
        if path.name != DATABASE:
            yield path
    for name in LOOKED_INTO:
        if (state_dir / name).is_dir():
            yield from sorted((state_dir / name).iterdir())


def _refuse_foreign(path: Path, facts: os.stat_result) -> None:
    writable = stat.S_IWOTH if facts.st_gid == 0 else stat.S_IWOTH | stat.S_IWGRP
    mine = facts.st_uid in {0, os.geteuid()}
    if not mine or (facts.st_mode & writable and not stat.S_ISLNK(facts.st_mode)):
        raise HostFailed(
            f"{path} belongs to another user of this host or may be written by one: remove it, or, "
            f"if you know what is in it, run `chown root {path}` and `chmod go-w {path}`"
        )
