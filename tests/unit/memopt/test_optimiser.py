"""The optimiser on a host and desktops that are nothing but numbers."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import pytest

from qvdnode.memopt.core.merging import Merging
from qvdnode.memopt.host_memory import HostMemoryReader
from qvdnode.memopt.ksm import Ksm
from qvdnode.memopt.optimiser import EVERY_S, MemoryOptimiser
from qvdnode.memopt.settings import MemorySettings
from qvdnode.model.errors import HostFailed
from qvdnode.model.farm import DesktopOrder
from qvdnode.model.guest import GuestMemory, HostNeed
from qvdnode.model.ids import VmId
from qvdnode.model.vm_state import VmState
from tests.fakes.clock import ManualClock
from tests.fakes.orders import desktop_order

MIB = 1024 * 1024
SIZE_MIB = 100
ASLEEP_MIB = 25


@dataclass
class Status:
    """A desktop as those who run it tell of it."""

    order: DesktopOrder
    since: datetime
    state: VmState = VmState.RUNNING
    viewer: bool = True
    unused_since: datetime | None = None


@dataclass
class Farm:
    """A host with that much memory, of which guests take theirs; implements memopt.ports."""

    folder: Path
    total_mib: int = 2000
    swap_mib: int = 4000
    clock: ManualClock = field(default_factory=ManualClock)
    statuses: dict[int, Status] = field(default_factory=dict)
    cpu_us: dict[int, int] = field(default_factory=dict)
    order: list[int] = field(default_factory=list)
    """Who was hibernated."""
    refuses: bool = False
    pending: int = 0
    pushed: list[tuple[str, int]] = field(default_factory=list)
    push_fails: bool = False
    without_group: set[int] = field(default_factory=set)
    machines: set[int] = field(default_factory=set)
    balloon_fails: set[int] = field(default_factory=set)
    asked: list[tuple[int, HostNeed]] = field(default_factory=list)

    def optimiser(self, **settings: object) -> MemoryOptimiser:
        (self.folder / "proc").mkdir(exist_ok=True)
        (self.folder / "ksm").mkdir(exist_ok=True)
        wanted = {"ksm": Merging.OFF, "warm_pct": 30, "squeeze_pct": 10, **settings}
        made = MemoryOptimiser(
            self, self, HostMemoryReader(self.folder / "proc", self.folder / "ksm"),
            Ksm(folder=self.folder / "ksm", records=self.folder / "records"),
            MemorySettings(**wanted), self.clock,  # type: ignore[arg-type]  # by name
        )  # fmt: skip
        self.count()
        return made

    def add(self, vm_id: int) -> None:
        self.statuses[vm_id] = Status(desktop_order(vm_id), self.clock.now())
        self.count()

    def leave(self, vm_id: int) -> None:
        self.statuses[vm_id].viewer = False
        self.statuses[vm_id].unused_since = self.clock.now()

    def count(self) -> None:
        used = sum(self.size(vm_id) for vm_id in self.statuses)
        swapped = sum(self.swapped(vm_id) for vm_id in self.statuses)
        (self.folder / "proc" / "meminfo").write_text(
            f"MemTotal: {self.total_mib * 1024} kB\n"
            f"MemAvailable: {(self.total_mib - used) * 1024} kB\n"
            f"SwapTotal: {self.swap_mib * 1024} kB\n"
            f"SwapFree: {(self.swap_mib - swapped) * 1024} kB\n",
            encoding="ascii",
        )

    def size(self, vm_id: int) -> int:
        return ASLEEP_MIB if self.statuses[vm_id].state is VmState.HIBERNATED else SIZE_MIB

    def swapped(self, vm_id: int) -> int:
        return SIZE_MIB if self.statuses[vm_id].state is VmState.HIBERNATED else 0

    def guests(self) -> list[Status]:
        return list(self.statuses.values())

    async def memory(self, vm_id: VmId) -> GuestMemory | None:
        size = self.size(vm_id) * MIB
        return GuestMemory(size, 512 * MIB, size, 0, 0, self.cpu_us.get(vm_id, 0))

    async def settle_balloon(self, vm_id: VmId, need: HostNeed) -> int | None:
        if int(vm_id) in self.balloon_fails:
            raise HostFailed("QEMU is gone")
        self.asked.append((int(vm_id), need))
        return 10 if int(vm_id) in self.machines else None

    def control_group(self, vm_id: VmId) -> str | None:
        return None if int(vm_id) in self.without_group else f"guests/{vm_id}"

    async def push(self, steps: Sequence[tuple[str, int]]) -> None:
        if self.push_fails:
            raise HostFailed("no file for it")
        self.pushed += steps

    async def hibernate(self, vm_id: VmId) -> bool:
        if self.refuses:
            return False
        self.statuses[vm_id].state = VmState.HIBERNATED
        self.order.append(int(vm_id))
        self.count()
        return True


@pytest.fixture
def farm(tmp_path: Path) -> Farm:
    (tmp_path / "proc").mkdir()
    return Farm(tmp_path)


async def test_a_squeeze_hibernates_the_longest_unused_and_nobody_connected(farm: Farm) -> None:
    optimiser = farm.optimiser()
    for vm_id in range(1, 20):
        farm.add(vm_id)
    for vm_id in (5, 3, 9, 1):
        farm.leave(vm_id)
        farm.clock.advance(20.0)
    for _ in range(4):
        await optimiser.step()
        farm.clock.advance(EVERY_S)
    assert farm.order == [5, 3]
    assert all(farm.statuses[vm_id].viewer or vm_id in (5, 3, 9, 1) for vm_id in farm.statuses)
    assert [int(action.vm_id) for action in optimiser.actions] == [5, 3]
    assert "short of memory" in optimiser.actions[0].reason


async def test_everybody_stays_awake_while_there_is_memory(farm: Farm) -> None:
    optimiser = farm.optimiser()
    farm.add(1)
    farm.leave(1)
    farm.clock.advance(10_000.0)
    await optimiser.step()
    assert farm.order == []
    assert optimiser.obstacle is None


async def test_a_desktop_that_works_for_its_user_stays_awake(farm: Farm) -> None:
    optimiser = farm.optimiser(warm_pct=100)
    for vm_id in (1, 2):
        farm.add(vm_id)
        farm.leave(vm_id)
    farm.clock.advance(400.0)
    await optimiser.step()
    farm.order.clear()
    assert farm.statuses[1].state is VmState.HIBERNATED, "its load was not known yet"
    farm.statuses[2].state = VmState.RUNNING
    for _ in range(3):
        farm.clock.advance(EVERY_S)
        farm.cpu_us[2] = farm.cpu_us.get(2, 0) + 1_000_000
        await optimiser.step()
    assert farm.order == []


async def test_what_is_on_its_way_to_swap_is_waited_for(farm: Farm) -> None:
    optimiser = farm.optimiser(warm_pct=100)
    farm.add(1)
    farm.leave(1)
    farm.clock.advance(400.0)
    farm.pending = 1
    await optimiser.step()
    assert farm.order == []
    farm.pending = 0
    await optimiser.step()
    assert farm.order == [1]


async def test_a_desktop_that_came_into_use_is_no_action(farm: Farm) -> None:
    optimiser = farm.optimiser(warm_pct=100)
    farm.add(1)
    farm.leave(1)
    farm.clock.advance(400.0)
    farm.refuses = True
    await optimiser.step()
    assert not optimiser.actions


async def test_without_swap_it_is_said_once(farm: Farm, caplog: pytest.LogCaptureFixture) -> None:
    farm.swap_mib = 0
    optimiser = farm.optimiser(warm_pct=100)
    farm.add(1)
    farm.leave(1)
    farm.clock.advance(400.0)
    for _ in range(3):
        await optimiser.step()
    told = [record for record in caplog.records if record.getMessage() == "desktops_stay_awake"]
    assert len(told) == 1
    assert told[0].levelno == logging.WARNING
    assert "no swap" in (optimiser.obstacle or "")


async def test_it_can_be_switched_off(farm: Farm) -> None:
    optimiser = farm.optimiser(warm_pct=100, hibernate=False)
    farm.add(1)
    farm.leave(1)
    farm.clock.advance(400.0)
    await optimiser.step()
    assert farm.order == []
    assert optimiser.used_mib() == SIZE_MIB


async def test_hibernation_and_merging_give_credit(farm: Farm) -> None:
    optimiser = farm.optimiser(warm_pct=100, ksm=Merging.TENANT, credit_pct=50)
    (farm.folder / "ksm" / "general_profit").write_text(f"{200 * MIB}\n", encoding="ascii")
    farm.add(1)
    farm.leave(1)
    farm.clock.advance(400.0)
    await optimiser.step()
    await optimiser.step()
    assert optimiser.outlook().credit_mib == (512 - ASLEEP_MIB + 200) // 2


async def test_how_long_a_desktop_is_up_is_told(farm: Farm) -> None:
    optimiser = farm.optimiser()
    farm.add(1)
    farm.clock.advance(3600.0)
    await optimiser.step()
    assert [guest.up_s for guest in optimiser.guests] == [3600.0]


async def test_idle_desktops_in_use_give_what_they_do_not_touch(farm: Farm) -> None:
    optimiser = farm.optimiser(warm_pct=100)
    farm.without_group = {2}
    for vm_id in (1, 2):
        farm.add(vm_id)
    farm.clock.advance(400.0)
    await optimiser.step()
    assert farm.pushed == [("guests/1", 10 * MIB)]
    assert optimiser.reclaimed_mib == 10
    assert "MiB are available" in optimiser.reclaim_reason


async def test_a_kernel_that_cannot_push_changes_nothing_else(farm: Farm) -> None:
    optimiser = farm.optimiser(warm_pct=100)
    farm.push_fails = True
    farm.add(1)
    farm.clock.advance(400.0)
    await optimiser.step()
    assert optimiser.reclaimed_mib == 0
    assert farm.order == []


async def test_live_reclaim_can_be_switched_off(farm: Farm) -> None:
    optimiser = farm.optimiser(warm_pct=100, live_reclaim=False)
    farm.add(1)
    farm.clock.advance(400.0)
    await optimiser.step()
    assert farm.pushed == []


async def test_a_machine_gives_memory_by_its_balloon_alone(
    farm: Farm, caplog: pytest.LogCaptureFixture
) -> None:
    optimiser = farm.optimiser(warm_pct=100)
    farm.machines, farm.balloon_fails = {1}, {2}
    for vm_id in (1, 2, 3):
        farm.add(vm_id)
    farm.clock.advance(400.0)
    await optimiser.step()
    assert farm.asked == [(1, HostNeed.SHORT), (3, HostNeed.SHORT)]
    assert {group for group, _ in farm.pushed} == {"guests/2", "guests/3"}
    assert "balloon_not_set" in caplog.messages
