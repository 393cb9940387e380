"""The drivers of a node: which there are, which work, and whose leftovers are swept."""

from dataclasses import replace

import pytest

from qvdnode.model.errors import HostFailed
from qvdnode.model.guest import DriverCheck
from qvdnode.vm.driver_table import DriverTable
from tests.fakes.memory_driver import MemoryDriver, MemoryHost, memory_spec

BROKEN = DriverCheck(problem="the engine does not answer", fix="Start it.")


@pytest.fixture
def hosts() -> dict[str, MemoryHost]:
    return {"lxc": MemoryHost(), "docker": MemoryHost()}


@pytest.fixture
def table(hosts: dict[str, MemoryHost]) -> DriverTable:
    return DriverTable({name: MemoryDriver(host) for name, host in hosts.items()})


def test_a_driver_is_found_by_its_name(table: DriverTable) -> None:
    assert table.get("lxc") is not table.get("docker")
    assert table.problem("docker") is None
    missing = "This node has no driver kvm; it has docker, lxc."
    assert table.absence("kvm") == table.problem("kvm") == missing
    with pytest.raises(HostFailed, match="no driver kvm"):
        table.get("kvm")


async def test_a_driver_that_does_not_work_is_not_offered_until_it_does(
    table: DriverTable, hosts: dict[str, MemoryHost], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    assert not await table.check()
    hosts["docker"].check = BROKEN
    assert await table.check()
    assert not await table.check()
    assert table.offered() == {"lxc"}
    assert "does not answer" in str(table.problem("docker"))
    assert table.absence("docker") is None
    assert table.checks["docker"] is BROKEN
    hosts["docker"].check = DriverCheck()
    assert await table.check()
    assert table.offered() == {"lxc", "docker"}
    events = [record.getMessage() for record in caplog.records]
    assert events == ["driver_does_not_work", "driver_works"]


async def test_a_driver_that_is_not_set_up_is_no_fault(
    table: DriverTable, hosts: dict[str, MemoryHost], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    hosts["docker"].check = replace(BROKEN, installed=False)
    await table.check()
    assert table.offered() == {"lxc"}
    assert [record.levelname for record in caplog.records] == ["INFO"]


async def test_a_guest_is_kept_for_its_own_driver_alone(
    table: DriverTable, hosts: dict[str, MemoryHost]
) -> None:
    spec = memory_spec(1)
    for name in hosts:
        await table.get(name).launch(spec)
    assert await table.sweep([("docker", spec.name)]) == [spec.name]
    assert (list(hosts["lxc"].guests), list(hosts["docker"].guests)) == ([], [spec.name])


async def test_one_driver_that_cannot_sweep_does_not_keep_others_from_it(
    hosts: dict[str, MemoryHost], caplog: pytest.LogCaptureFixture
) -> None:
    class Stuck(MemoryDriver):
        async def sweep(self, keep: object) -> list[str]:
            raise HostFailed("the engine does not answer")

    table = DriverTable({"docker": Stuck(hosts["docker"]), "lxc": MemoryDriver(hosts["lxc"])})
    await table.get("lxc").launch(memory_spec(1))
    assert await table.sweep([]) == ["qvd-1"]
    assert [record.getMessage() for record in caplog.records] == ["sweep_failed"]
