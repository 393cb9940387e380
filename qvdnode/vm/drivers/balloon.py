"""Sets the balloons of machines, over QEMU's machine protocol. core/balloon.py decides."""

import logging
from pathlib import Path
from typing import Final

from qvdnode.model.errors import HostFailed
from qvdnode.model.guest import HostNeed
from qvdnode.vm.core import balloon
from qvdnode.vm.core.balloon import MIB, BalloonFigures
from qvdnode.vm.core.kvm_argv import BALLOON
from qvdnode.vm.drivers import qmp

log = logging.getLogger(__name__)

LIMIT_S: Final = 5.0
POLLED_EVERY_S: Final = 5
OBJECT: Final = f"/machine/peripheral/{BALLOON}"
ASK_STATS: Final = ("qom-get", {"path": OBJECT, "property": "guest-stats"})
BEGIN_STATS: Final = (
    "qom-set",
    {"path": OBJECT, "property": "guest-stats-polling-interval", "value": POLLED_EVERY_S},
)


class Balloons:
    """Remembers what each machine told last."""

    def __init__(self) -> None:
        self._last: dict[str, BalloonFigures | None] = {}

    async def settle(self, name: str, path: Path, full_mib: int, need: HostNeed) -> int:
        """Set that machine's balloon; how much it takes of the guest now, in MiB.

        Raises HostFailed, TimedOut.
        """
        if name not in self._last:
            await qmp.carry_out(path, [BEGIN_STATS], limit_s=LIMIT_S)
            self._last[name] = None
        answers = await qmp.carry_out(path, ["query-balloon", ASK_STATS], limit_s=LIMIT_S)
        try:
            now = balloon.figures(full_mib, *answers)
        except ValueError as error:
            raise HostFailed(str(error)) from error
        target_mib = balloon.target_mib(now, self._last[name], need)
        self._last[name] = now
        if target_mib != now.actual_mib:
            order = ("balloon", {"value": target_mib * MIB})
            await qmp.carry_out(path, [order], limit_s=LIMIT_S)
            facts = {
                "guest": name,
                "from_mib": now.actual_mib,
                "to_mib": target_mib,
                "available_mib": now.available_mib,
                "host_need": need.value,
            }
            log.info("balloon_set", extra=facts)
        return full_mib - now.actual_mib

    def forget(self, name: str) -> None:
        """The machine is gone."""
        self._last.pop(name, None)
