"""The state folder: made at first start, checked at every start.

Guests enter it under shifted ids, so every folder above it needs o+x; that is checked and told,
never changed, since the folders above are not ours.
"""

from pathlib import Path
from typing import Final

from qvdnode.model.errors import HostFailed

PRIVATE: Final = ("tls", "state")
SHARED: Final = ("images", "homes", "vms", "lxc", "run")


def prepare(state_dir: Path) -> None:
    """Make the folder and its parts; raises HostFailed naming a parent that locks guests out."""
    try:
        state_dir.mkdir(parents=True, exist_ok=True)
        state_dir.chmod(0o711)
        for name in SHARED:
            (state_dir / name).mkdir(exist_ok=True)
            (state_dir / name).chmod(0o711)
        for name in PRIVATE:
            (state_dir / name).mkdir(exist_ok=True)
            (state_dir / name).chmod(0o700)
    except OSError as error:
        raise HostFailed(f"the state folder {state_dir} cannot be made: {error}") from error
    closed = first_closed_parent(state_dir)
    if closed is not None:
        raise HostFailed(
            f"guests cannot pass {closed}: run chmod o+x {closed}, or choose another node.state_dir"
        )


def first_closed_parent(path: Path) -> Path | None:
    """The topmost folder on the way to `path` that others may not pass, or None."""
    for folder in reversed([path, *path.parents]):
        if not folder.stat().st_mode & 0o001:
            return folder
    return None
