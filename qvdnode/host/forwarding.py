"""IPv4 forwarding of the host: switched on while an instance needs it, put back after the last.

Several instances share the switch. Each that needs it leaves a file in a record folder, beside one
that says how the switch stood before the first came. The file names the instance's bridge: where
that is gone, so is the instance, even if it was killed and its state removed. The folder is gone
after a reboot, as is the switch; where it is not, the boot id in the record tells.
"""

import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from qvdnode.host.record_folder import locked

SWITCH: Final = Path("/proc/sys/net/ipv4/ip_forward")
BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")
RECORDS: Final = Path("/run/qvdnode/forwarding")
BEFORE: Final = "before"
HOLDER: Final = "held-by-"


def enabled(switch: Path = SWITCH) -> bool:
    """Whether the host forwards IPv4 packets now."""
    return switch.read_text(encoding="ascii").strip() == "1"


def link_exists(name: str) -> bool:
    """Whether the host has a network link of that name now."""
    try:
        return socket.if_nametoindex(name) > 0
    except OSError:
        return False


@dataclass(frozen=True, slots=True)
class Forwarding:
    """The switch, and the record of who needs it. Its calls block for a moment."""

    records: Path = RECORDS
    switch: Path = SWITCH
    link_exists: Callable[[str], bool] = link_exists

    def hold(self, prefix: str, bridge: str) -> bool:
        """Switch forwarding on while an instance has its bridge, which is there already.

        True if it was off; safe to repeat; raises HostFailed.
        """
        with self._locked():
            if not self._record.exists():
                before = int(enabled(self.switch))
                self._record.write_text(f"{_boot_id()} {before}\n", encoding="ascii")
            (self.records / f"{HOLDER}{prefix}").write_text(f"{bridge}\n", encoding="utf-8")
            if enabled(self.switch):
                return False
            self._switch(1)
            return True

    def leave(self, prefix: str) -> bool:
        """The instance needs it no more; True if the switch was put back to off."""
        with self._locked():
            (self.records / f"{HOLDER}{prefix}").unlink(missing_ok=True)
            if self._holders() or not self._record.exists():
                return False
            _, _, before = self._record.read_text(encoding="ascii").strip().rpartition(" ")
            self._record.unlink()
            if before == "1" or not enabled(self.switch):
                return False
            self._switch(0)
            return True

    @property
    def _record(self) -> Path:
        return self.records / BEFORE

    def _holders(self) -> list[Path]:
        return sorted(self.records.glob(f"{HOLDER}*"))

    def _forget_gone_instances(self) -> None:
        for holder in self._holders():
            if not self.link_exists(holder.read_text(encoding="utf-8").strip()):
                holder.unlink()

    def _forget_other_boots(self) -> None:
        if self._record.exists():
            boot_id, _, _ = self._record.read_text(encoding="ascii").partition(" ")
            if boot_id == _boot_id():
                return
        for stale in (*self._holders(), self._record):
            stale.unlink(missing_ok=True)

    def _switch(self, value: int) -> None:
        self.switch.write_text(f"{value}\n", encoding="ascii")

    @contextmanager
    def _locked(self) -> Iterator[None]:
        with locked(self.records, "IPv4 forwarding cannot be arranged"):
            self._forget_other_boots()
            self._forget_gone_instances()
            yield


def _boot_id() -> str:
    return BOOT_ID.read_text(encoding="ascii").strip()
