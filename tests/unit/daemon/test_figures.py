"""The node's own figures, measured with a fleet that pretends."""

from functools import partial

from qvdnode.auth.authenticator import LOGIN_SECONDS
from qvdnode.daemon.figures import FigureSampler
from qvdnode.memopt.core.meminfo import HostMemory
from qvdnode.runtime.supervise import Supervisor
from qvdnode.vm.guest.actor import FAILURES, READY_SECONDS
from qvdnode.web.core.figure_ring import FINE_S, quantile_ms
from tests.fakes.clock import ManualClock
from tests.fakes.fleet import FakeFleet
from tests.waiting import until


def sampler(fleet: FakeFleet, clock: ManualClock) -> FigureSampler:
    memory = HostMemory(total_mib=4_096, available_mib=3_000, swap_free_mib=0)
    return FigureSampler(fleet.statuses, fleet.load, lambda: memory, clock)


async def test_a_point_has_what_happened_since_the_one_before() -> None:
    fleet, clock = FakeFleet(), ManualClock()
    made = sampler(fleet, clock)
    READY_SECONDS.observe(0.5)
    FAILURES.labels("test").inc(2)
    LOGIN_SECONDS.observe(0.07)
    await made.measure()
    clock.advance(FINE_S)
    await made.measure()
    first, second = (point.figures for point in made.ring.points(0))
    assert (first.starts, first.failures, first.logins) == (1, 2, 1)
    assert 50 <= (quantile_ms(first.login_buckets, 0.5) or 0) <= 100
    assert (second.starts, second.failures, second.logins) == (0, 0, 0)
    assert quantile_ms(second.login_buckets, 0.5) is None
    assert (second.memory_total_mib, second.memory_used_mib) == (4_096, 1_096)
    assert 0 <= second.cpu_percent <= 100


async def test_the_node_is_measured_again_and_again() -> None:
    clock = ManualClock()
    made = sampler(FakeFleet(), clock)
    async with Supervisor("test") as tasks:
        _ = tasks.essential("figures", made.run())
        for expected in (1, 2, 3):
            await until(lambda: clock.sleepers == 1)
            clock.advance(FINE_S)
            points = partial(made.ring.points, 0)
            await until(lambda: len(points()) == expected)  # noqa: B023 - awaited in this turn
