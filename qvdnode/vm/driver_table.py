"""The drivers of this node, by the names that flavours use, and which of them work now."""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Mapping, Sequence
from types import MappingProxyType

from qvdnode.model.errors import HostFailed
from qvdnode.model.guest import DriverCheck
from qvdnode.runtime.supervise import contained
from qvdnode.vm.guest_driver import Costly, GuestDriver

log = logging.getLogger(__name__)

UNCHECKED = DriverCheck()
"""Before its first check a driver counts as working; a start that fails reports the problem."""


class DriverTable:
    """Filled by daemon/drivers.py. A flavour's driver takes effect at a VM's next start."""

    def __init__(self, drivers: Mapping[str, GuestDriver]) -> None:
        self._drivers = dict(drivers)
        self._checks = dict.fromkeys(drivers, UNCHECKED)

    def get(self, name: str) -> GuestDriver:
        """The driver of that name.

        Raises HostFailed when the node has none: a state file can name a driver that an earlier
        process had. Whoever retries goes on until a node is started that has it.
        """
        if (absence := self.absence(name)) is not None:
            raise HostFailed(absence)
        return self._drivers[name]

    @property
    def checks(self) -> Mapping[str, DriverCheck]:
        """What the last check found, by name."""
        return MappingProxyType(self._checks)

    def offered(self) -> frozenset[str]:
        """The drivers that can start guests."""
        return frozenset(name for name, found in self._checks.items() if found.problem is None)

    def absence(self, name: str) -> str | None:
        """Say to a person that this node has no driver of that name; None when it has one."""
        if name in self._drivers:
            return None
        return f"This node has no driver {name}; it has {', '.join(sorted(self._drivers))}."

    def problem(self, name: str) -> str | None:
        """Why no guest can be started with that driver, for a person; None when one can."""
        if (absence := self.absence(name)) is not None:
            return absence
        found = self._checks[name].problem
        return None if found is None else f"The driver {name} of this node does not work: {found}."

    def warning(self, name: str) -> str:
        """What makes its guests worse on this host than they could be; empty when nothing does."""
        return self._checks.get(name, UNCHECKED).warning

    def overhead_mib(self, name: str) -> int:
        """What a guest of that driver costs the host beside the memory of its flavour."""
        if name not in self._drivers:
            return 0
        driver = self._drivers[name]
        return driver.overhead_mib() if isinstance(driver, Costly) else 0

    async def check(self) -> bool:
        """Check all drivers at once; whether what is offered has changed."""
        before = self.offered()
        found = await asyncio.gather(*(driver.check() for driver in self._drivers.values()))
        for name, now in zip(self._drivers, found, strict=True):
            was, self._checks[name] = self._checks[name].problem, now
            if now.problem is not None and now.problem != was:
                facts = {"driver": name, "because": now.problem, "fix": now.fix}
                level = logging.WARNING if now.installed else logging.INFO
                log.log(level, "driver_does_not_work", extra=facts)
            elif now.problem is None and was is not None:
                log.info("driver_works", extra={"driver": name})
        return self.offered() != before

    async def sweep(self, kept: Sequence[tuple[str, str]]) -> list[str]:
        """End leftover guests of every driver; `kept` are the driver and name of each other one.

        A guest is kept for its own driver alone: one of the same name that another driver runs is
        left from an earlier start.
        """
        names = defaultdict[str, list[str]](list)
        for kind, guest in kept:
            names[kind].append(guest)
        swept: list[str] = []
        for name, driver in self._drivers.items():
            with contained("sweep_failed", driver=name):
                try:
                    swept += await driver.sweep(names[name])
                except HostFailed as error:
                    log.warning("sweep_failed", extra={"driver": name, "because": str(error)})
        return swept
