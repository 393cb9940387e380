"""The drivers of the program, and how the node's row learns which of them work."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, cast

import pytest

from qvdnode.daemon.config import Config
from qvdnode.daemon.drivers import DRIVERS, DriverOffer, driver_table
from qvdnode.daemon.settings import NodeSettings
from qvdnode.db.nodes import NodeMembership
from qvdnode.model.errors import Unavailable
from qvdnode.model.farm import DEFAULT_DRIVER
from qvdnode.model.guest import DriverCheck
from qvdnode.model.ids import NodeId
from qvdnode.runtime.clock import SystemClock
from qvdnode.vm.driver_table import DriverTable
from tests.fakes.memory_driver import MemoryDriver, MemoryHost

if TYPE_CHECKING:
    from qvdnode.daemon.membership import Membership
    from qvdnode.db.nodes import Nodes


class Rows:
    """The table of nodes, which can be away."""

    def __init__(self) -> None:
        self.away = False
        self.written: list[tuple[int, int, list[str]]] = []

    async def offer(self, node_id: NodeId, epoch: int, drivers: Sequence[str]) -> None:
        if self.away:
            raise Unavailable("The database is away.")
        self.written.append((node_id, epoch, list(drivers)))


class Joined:
    """A membership that the test grants."""

    row: NodeMembership | None = None


def test_the_usual_driver_is_one_of_the_programs_and_making_it_changes_nothing(
    tmp_path: Path,
) -> None:
    config = Config(node=NodeSettings(state_dir=tmp_path / "state"))
    table = driver_table(config, config.instance(), SystemClock())
    assert set(table.checks) == set(DRIVERS)
    assert table.problem(DEFAULT_DRIVER) is None
    assert not (tmp_path / "state").exists()


async def test_the_row_is_written_when_what_works_has_changed(
    caplog: pytest.LogCaptureFixture,
) -> None:
    host, rows, joined = MemoryHost(), Rows(), Joined()
    table = DriverTable({"docker": MemoryDriver(host), "lxc": MemoryDriver(MemoryHost())})
    offer = DriverOffer(table, cast("Nodes", rows), cast("Membership", joined))
    await offer.check()
    assert rows.written == []
    joined.row = NodeMembership(NodeId(4), 9)
    for _ in range(2):
        await offer.check()
    assert rows.written == [(4, 9, ["docker", "lxc"])]
    host.check = DriverCheck(problem="the engine does not answer")
    rows.away = True
    await offer.check()
    rows.away = False
    await offer.check()
    assert rows.written[1:] == [(4, 9, ["lxc"])]
    assert "drivers_not_written" in [record.getMessage() for record in caplog.records]
