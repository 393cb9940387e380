"""Prepares the host's memory for desktops, and puts it back: a compressed swap device, and KSM.

A host that refuses is left as it is: desktops run without, only fewer of them.
"""

import asyncio
import logging

from qvdnode.host import merging
from qvdnode.memopt.core.meminfo import HostMemory
from qvdnode.memopt.core.merging import Merging
from qvdnode.memopt.core.zram_plan import size_bytes
from qvdnode.memopt.ksm import Ksm
from qvdnode.memopt.settings import MemorySettings
from qvdnode.memopt.zram import Zram
from qvdnode.model.errors import HostFailed, TimedOut

log = logging.getLogger(__name__)

NO_SWAP_FIX = "add a swap file, or set memory.zram_pct (100 is a good start)"


class MemoryTuning:
    """`up` comes once the node's bridge is there, `down` once its guests are gone."""

    def __init__(self, settings: MemorySettings, ksm: Ksm, zram: Zram) -> None:
        self._settings = settings
        self._ksm = ksm
        self._zram = zram

    async def up(self, prefix: str, bridge: str, memory: HostMemory) -> None:
        """Do what the settings say; what the host refuses is logged."""
        if self._settings.zram_pct:
            try:
                await self._zram.up(size_bytes(memory.total_mib, self._settings.zram_pct))
            except (HostFailed, TimedOut) as error:
                log.warning("zram_not_made", extra={"because": str(error)})
        elif self._settings.hibernate and memory.swap_total_mib == 0:
            log.warning(
                "no_swap", extra={"because": "desktops cannot hibernate", "fix": NO_SWAP_FIX}
            )
        if self._settings.ksm is Merging.OFF:
            return
        if (obstacle := merging.obstacle()) is not None:
            log.warning("ksm_not_on", extra={"because": obstacle})
        else:
            try:
                await asyncio.to_thread(self._ksm.hold, prefix, bridge)
            except HostFailed as error:
                log.warning("ksm_not_on", extra={"because": str(error)})

    def rest(self) -> None:
        """The process ends and the guests stay, with what is in swap."""
        try:
            self._ksm.rest()
        except HostFailed as error:
            log.warning("ksm_not_steered", extra={"because": str(error)})

    async def down(self, prefix: str) -> None:
        """Put everything back."""
        try:
            await asyncio.to_thread(self._ksm.release, prefix)
        except HostFailed as error:
            log.warning("ksm_not_restored", extra={"because": str(error)})
        try:
            await self._zram.down()
        except (HostFailed, TimedOut) as error:
            log.warning("zram_not_removed", extra={"because": str(error)})
