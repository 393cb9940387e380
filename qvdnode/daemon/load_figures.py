"""How this node is doing, as placement and administrators want to know it."""

import os
from collections.abc import Callable
from pathlib import Path

from qvdnode.cluster.core.placement import Load, image_bit
from qvdnode.memopt.admission import HostAdmission
from qvdnode.memopt.host_memory import HostMemoryReader
from qvdnode.model.ids import NodeId
from qvdnode.runtime.clock import Clock
from qvdnode.vm.core.start_pace import Stalls
from qvdnode.vm.driver_table import DriverTable
from qvdnode.vm.fleet import Fleet
from qvdnode.vm.settings import VmSettings
from qvdnode.vm.start_pacer import StartPacer


class OwnLoad:
    """The figures of this node, read anew at each call."""

    def __init__(  # noqa: PLR0913 - each is something that the figures are read from
        self,
        fleet: Fleet,
        drivers: DriverTable,
        memory: HostMemoryReader,
        admission: HostAdmission,
        vm_settings: VmSettings,
        images: Path,
        here: Callable[[], NodeId | None],
        draining: Callable[[], bool],
        database: Callable[[], bool],
    ) -> None:
        self._images = images
        self._fleet = fleet
        self._drivers = drivers
        self._memory = memory
        self._admission = admission
        self._vm_settings = vm_settings
        self._here = here
        self._draining = draining
        self._database = database

    def loads(self) -> list[Load]:
        """This node, once it has joined the farm."""
        node_id = self._here()
        if node_id is None:
            return []
        fleet = self._fleet.load()
        return [
            Load(
                node_id=node_id,
                capacity_mib=self._admission.promisable_mib(),
                promised_mib=fleet.promised_mib,
                guests=fleet.guests,
                guests_max=self._vm_settings.id_slots,
                starts_waiting=fleet.starts_queued,
                starts_waiting_max=self._vm_settings.queue_max,
                start_tokens=fleet.starts_at_once,
                start_tokens_free=fleet.starts_free,
                cores=os.cpu_count() or 1,
                run_queue=os.getloadavg()[0],
                cpu_some_pct=self._memory.pressure("cpu").some_pct,
                memory_full_pct=self._memory.pressure("memory").full_pct,
                io_some_pct=self._memory.pressure("io").some_pct,
                drivers=self._drivers.offered(),
                draining=self._draining(),
                database=self._database(),
                images=_image_bits(self._images),
            )
        ]


def start_pacer(
    fleet: Fleet, memory: HostMemoryReader, settings: VmSettings, clock: Clock
) -> StartPacer:
    """What adapts the number of starts at once to this host's stalls."""

    def stalls() -> Stalls:
        return Stalls(memory.pressure("memory").full_pct, memory.pressure("io").some_pct)

    return StartPacer(settings.starts_at_once, stalls, fleet.start_at_once, clock)


def _image_bits(images: Path) -> int:
    """The bits of the image versions below that folder (see image/versions.py)."""
    bits = 0
    for kind in ("commit", "rootfs"):
        for path in images.glob(f"*/*/{kind}"):
            image_id, version = path.parts[-3:-1]
            if image_id.isdigit() and version.isdigit():
                bits |= 1 << image_bit(int(image_id), int(version))
    return bits
