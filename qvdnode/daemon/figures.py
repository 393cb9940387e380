"""Measures this node every five seconds, for the plots of the administration page."""

from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from qvdnode.auth.authenticator import LOGIN_SECONDS
from qvdnode.host.cpu_time import CpuTime, cpu_time
from qvdnode.memopt.core.meminfo import HostMemory
from qvdnode.runtime.clock import Clock
from qvdnode.telemetry.metrics import buckets, count
from qvdnode.vm.guest.actor import FAILURES, READY_SECONDS
from qvdnode.vm.status import FleetLoad, GuestStatus
from qvdnode.web.core.figure_ring import FINE_S, Buckets, FigureRing, Figures


class FigureSampler:
    """Fills a ring with this node's figures."""

    def __init__(
        self,
        statuses: Callable[[], Awaitable[Sequence[GuestStatus]]],
        load: Callable[[], FleetLoad],
        memory: Callable[[], HostMemory],
        clock: Clock,
    ) -> None:
        self.ring = FigureRing()
        self._statuses = statuses
        self._load = load
        self._memory = memory
        self._clock = clock
        self._before = _Counts.now()

    async def run(self) -> None:
        """Measure until cancelled."""
        while True:
            await self._clock.sleep(FINE_S)
            await self.measure()

    async def measure(self) -> None:
        """Add a point with what happened since the one before."""
        statuses, memory = await self._statuses(), self._memory()
        before, self._before = self._before, _Counts.now()
        logins = self._before.logins_since(before)
        figures = Figures(
            vms=dict(Counter(status.state.value for status in statuses)),
            users=sum(status.viewer for status in statuses),
            queue=self._load().starts_queued,
            cpu_percent=self._before.cpu.percent_since(before.cpu),
            memory_total_mib=memory.total_mib,
            memory_used_mib=memory.total_mib - memory.available_mib,
            memory_free_mib=memory.available_mib,
            starts=self._before.starts - before.starts,
            failures=self._before.failures - before.failures,
            logins=int(logins[-1][1]) if logins else 0,
            login_buckets=logins if logins and logins[-1][1] else (),
        )
        self.ring.add(int(self._clock.now().timestamp()), figures)


@dataclass(frozen=True, slots=True)
class _Counts:
    """What only grows while the process lives."""

    cpu: CpuTime
    starts: int
    failures: int
    logins: Buckets

    @staticmethod
    def now() -> "_Counts":
        return _Counts(
            cpu=cpu_time(),
            starts=count(READY_SECONDS),
            failures=count(FAILURES),
            logins=buckets(LOGIN_SECONDS),
        )

    def logins_since(self, before: "_Counts") -> Buckets:
        pairs = zip(self.logins, before.logins, strict=True)
        return tuple((bound, now - then) for (bound, now), (_, then) in pairs)
