"""Admits guests by promised memory. Implements vm.ports.Admission."""

import logging
from collections.abc import Callable

from qvdnode.memopt.core.credit import Outlook
from qvdnode.memopt.core.meminfo import HostMemory
from qvdnode.memopt.core.promise import capacity_mib, refusal
from qvdnode.memopt.settings import MemorySettings
from qvdnode.telemetry.metrics import Counter, Gauge

log = logging.getLogger(__name__)

REFUSED = Counter("qvdnode_admissions_refused", "Starts refused for want of memory")
CAPACITY = Gauge("qvdnode_memory_capacity_mib", "Memory that may be promised to desktops")
PROMISED = Gauge("qvdnode_memory_promised_mib", "Memory promised to desktops")


class HostAdmission:
    """Judges by what is promised and measured; `read` gives the host's memory now."""

    def __init__(self, read: Callable[[], HostMemory], settings: MemorySettings) -> None:
        self._read = read
        self._outlook: Callable[[], Outlook] = Outlook
        self._settings = settings

    def refusal(self, memory_mib: int, promised_mib: int) -> str | None:
        """Return why a guest of that size does not fit, or None if it does."""
        memory = self._read()
        unpromised_mib = self._capacity_mib(memory) - promised_mib
        floor_mib = self._settings.available_floor_mib
        because = refusal(memory_mib, unpromised_mib, memory, floor_mib, self._outlook())
        if because is not None:
            REFUSED.inc()
            log.warning("start_refused", extra={"because": because, "promised_mib": promised_mib})
        return because

    @property
    def reserve_mib(self) -> int:
        """Kept back for the host, the node and the database."""
        return self._settings.host_reserve_mib

    def promisable_mib(self) -> int:
        """How much may be promised altogether, with what is measured to be saved."""
        return self._capacity_mib(self._read()) + self._outlook().credit_mib

    def count(self, outlook: Callable[[], Outlook]) -> None:
        """Have what is measured of guests counted as well."""
        self._outlook = outlook

    def show(self, promised_mib: Callable[[], int]) -> None:
        """Have the metrics ask at each scrape what there is and what is promised."""
        CAPACITY.set_function(lambda: self._capacity_mib(self._read()))
        PROMISED.set_function(promised_mib)

    def _capacity_mib(self, memory: HostMemory) -> int:
        return capacity_mib(memory, self._settings.host_reserve_mib, self._settings.overcommit)
