"""Makes a compressed swap device in memory (zram), and removes it with the last desktop.

The device outlives the node's process, as guests do: what is in it belongs to them. A file says
which one is ours.
"""

import json
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from qvdnode.host import process
from qvdnode.host.boot import boot_id
from qvdnode.memopt.core.zram_plan import algorithm
from qvdnode.model.errors import HostFailed
from qvdnode.runtime.clock import Clock

log = logging.getLogger(__name__)

PRIORITY: Final = "100"
"""Above a swap disk's, which takes what does not fit here."""
DEVICE_LIMIT_S: Final = 2.0
DEVICE_PAUSE_S: Final = 0.01
SWAPOFF_LIMIT_S: Final = 120.0


@dataclass(frozen=True, slots=True)
class ZramUse:
    """What is in a device, in MiB."""

    holds_mib: int
    takes_mib: int
    """Memory that it takes, after compression."""


class Zram:
    """The device of one node; `record` is the file that names it."""

    def __init__(
        self, record: Path, clock: Clock, *, sys: Path = Path("/sys"), dev: Path = Path("/dev")
    ) -> None:
        self._record = record
        self._clock = clock
        self._sys = sys
        self._dev = dev

    async def up(self, size_bytes: int) -> None:
        """Make it, unless an earlier process did. Raises HostFailed, TimedOut; leaves nothing."""
        if self._known() is not None:
            return
        control = self._sys / "class/zram-control"
        if not control.exists():
            await process.run(["modprobe", "zram"], check=False)
        number = _read(control / "hot_add")
        made = json.dumps({"boot": boot_id(), "device": int(number)})
        self._record.write_text(made, encoding="ascii")
        try:
            await self._make(int(number), size_bytes)
        except BaseException:
            await self.down()
            raise
        log.info("zram_made", extra={"device": f"zram{number}", "mib": size_bytes >> 20})

    async def down(self) -> None:
        """Bring what is in it back into memory and remove it. Raises HostFailed, TimedOut."""
        number = self._known()
        if number is None:
            return
        device = f"zram{number}"
        if self._is_swap(device):
            await process.run(["swapoff", self._dev / device], limit_s=SWAPOFF_LIMIT_S)
        _write(self._sys / "block" / device / "reset", "1")
        _write(self._sys / "class/zram-control/hot_remove", str(number))
        self._record.unlink(missing_ok=True)
        log.info("zram_removed", extra={"device": device})

    def use(self) -> ZramUse | None:
        """What is in it now; None when there is none."""
        number = self._known()
        if number is None:
            return None
        try:
            words = _read(self._sys / f"block/zram{number}/mm_stat").split()
        except HostFailed:
            return None
        return ZramUse(int(words[0]) >> 20, int(words[2]) >> 20)

    async def _make(self, number: int, size_bytes: int) -> None:
        folder, device = self._sys / f"block/zram{number}", self._dev / f"zram{number}"
        name = algorithm(_read(folder / "comp_algorithm"))
        if name is not None:
            _write(folder / "comp_algorithm", name)
        _write(folder / "disksize", str(size_bytes))
        until_s = self._clock.monotonic_s() + DEVICE_LIMIT_S
        while not device.exists() and self._clock.monotonic_s() < until_s:
            await self._clock.sleep(DEVICE_PAUSE_S)  # a daemon of the host makes it
        await process.run(["mkswap", device])
        await process.run(["swapon", "--priority", PRIORITY, device])

    def _known(self) -> int | None:
        try:
            found = json.loads(self._record.read_text(encoding="ascii"))
            number = int(found["device"])
            is_there = found["boot"] == boot_id() and (self._sys / f"block/zram{number}").exists()
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return number if is_there else None

    def _is_swap(self, device: str) -> bool:
        swaps = Path("/proc/swaps").read_text(encoding="utf-8").splitlines()[1:]
        return any(line.split()[0] == str(self._dev / device) for line in swaps)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii").strip()
    except OSError as error:
        raise HostFailed(f"cannot read {path}: {error.strerror}") from error


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="ascii")
    except OSError as error:
        raise HostFailed(f"cannot write {path}: {error.strerror}") from error
