"""Enforces the floor of free disk space: below it nothing is started or imported."""

from pathlib import Path
from typing import Final

from qvdnode.host import disk_space
from qvdnode.image.layout import Layout
from qvdnode.model.errors import HostFailed, NodeFull
from qvdnode.telemetry.metrics import Gauge

FREE_MIB: Final = Gauge(
    "qvdnode_disk_free_mebibytes", "Free space in the state folder, when last looked at."
)


class FreeSpaceFloor:
    """Checks the file systems of the state folder, of roots and of homes."""

    def __init__(self, folder: Path, floor_mib: int) -> None:
        self._folder = folder
        self._layout = Layout(folder)
        self._floor_mib = floor_mib

    def require(self, what: str, promised_mib: int = 0) -> None:
        """Raise NodeFull when less than the floor plus `promised_mib` is free; blocks.

        `what` names the refused operation in the message.
        """
        refusal = self.refusal(what, promised_mib)
        if refusal is not None:
            raise NodeFull(refusal)

    def refusal(self, what: str, promised_mib: int = 0) -> str | None:
        """Return why there is no space for `what`, or None if there is; blocks."""
        try:
            FREE_MIB.set(disk_space.free_mib(self._folder))
            free, folder = min((disk_space.free_mib(one), one) for one in self._folders())
        except OSError as error:
            raise HostFailed(f"{self._folder} cannot be checked: {error.strerror}") from error
        if free >= self._floor_mib + promised_mib:
            return None
        promise = f" beside {promised_mib} MiB that desktops were promised" if promised_mib else ""
        return (
            f"{what} is refused: the node's disk is nearly full, {free} MiB are free in "
            f"{folder} (by df or df -i) and {self._floor_mib} MiB are kept free "
            f"(image.free_floor_mib){promise}"
        )

    def _folders(self) -> list[Path]:
        parts = (self._layout.vms, self._layout.homes)
        return [self._folder, *(part for part in parts if part.exists())]
