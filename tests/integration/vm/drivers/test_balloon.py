"""The balloon of a real machine: it gives memory when the host is short, and gets it back."""

from pathlib import Path
from typing import Final

import pytest

from qvdnode.host.cgroups import probe
from qvdnode.model.errors import HostFailed
from qvdnode.model.guest import HostNeed
from qvdnode.vm.drivers.balloon import Balloons
from qvdnode.vm.drivers.kvm import KvmDriver
from tests.fixtures_guest import RealGuests
from tests.waiting import until

LIMIT_S: Final = 90.0
TAKEN_MIB: Final = 60


@pytest.mark.kvm
@pytest.mark.timeout(300)
async def test_a_machine_gives_memory_in_steps_and_gets_it_back(real_machines: RealGuests) -> None:
    driver = real_machines.driver
    assert isinstance(driver, KvmDriver)
    spec = await real_machines.spec(1)
    await driver.launch(spec)

    async def taken(need: HostNeed) -> int:
        return await driver.settle_balloon(spec, need)

    assert await taken(HostNeed.NONE) == 0

    async def has_given() -> bool:
        return await taken(HostNeed.SQUEEZED) >= TAKEN_MIB

    await until(has_given, limit_s=LIMIT_S, what="the machine to give memory")
    group = driver.control_group(spec)
    assert group is not None
    charged = probe().memory(group).used_bytes
    assert charged < (spec.memory_mib - TAKEN_MIB) << 20, "the host did not get it"

    async def has_it_back() -> bool:
        return await taken(HostNeed.NONE) == 0

    await until(has_it_back, limit_s=LIMIT_S, what="the machine to get its memory back")
    await driver.kill(spec)
    with pytest.raises(HostFailed):
        await taken(HostNeed.NONE)


async def test_a_machine_that_is_gone_is_told(tmp_path: Path) -> None:
    with pytest.raises(HostFailed, match="cannot be asked"):
        await Balloons().settle("gone", tmp_path / "none", 512, HostNeed.NONE)
