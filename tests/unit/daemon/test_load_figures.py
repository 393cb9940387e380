"""What a node tells placement of itself."""

from pathlib import Path
from typing import TYPE_CHECKING, cast

from qvdnode.cluster.core.placement import Load, Wish, image_bit, refusal
from qvdnode.daemon.load_figures import OwnLoad
from qvdnode.memopt.admission import HostAdmission
from qvdnode.memopt.host_memory import HostMemoryReader
from qvdnode.memopt.settings import MemorySettings
from qvdnode.model.ids import NodeId
from qvdnode.vm.driver_table import DriverTable
from qvdnode.vm.settings import VmSettings
from qvdnode.vm.status import FleetLoad
from tests.fakes.memory_driver import MemoryDriver, MemoryHost

if TYPE_CHECKING:
    from qvdnode.vm.fleet import Fleet

SETTINGS = VmSettings(starts_at_once=4, queue_max=10)
MEMORY = MemorySettings(host_reserve_mib=1024, overcommit=2.0)


class Guests:
    """A fleet that is as loaded as it is told to be."""

    def __init__(self, promised_mib: int) -> None:
        self._promised_mib = promised_mib

    def load(self) -> FleetLoad:
        return FleetLoad(3, self._promised_mib, starts_at_once=2, starts_queued=1, starts_free=0)


def own_load(
    tmp_path: Path,
    promised_mib: int,
    node: int | None = 1,
    *,
    draining: bool = False,
    database: bool = True,
) -> list[Load]:
    (tmp_path / "meminfo").write_text("MemTotal: 8388608 kB\nMemAvailable: 8388608 kB\n")
    reader = HostMemoryReader(proc=tmp_path, ksm=tmp_path)
    fleet = cast("Fleet", Guests(promised_mib))
    here = None if node is None else NodeId(node)
    return OwnLoad(
        fleet,
        DriverTable({"lxc": MemoryDriver(MemoryHost())}),
        reader,
        HostAdmission(reader.memory, MEMORY),
        SETTINGS,
        tmp_path / "images",
        lambda: here,
        lambda: draining,
        lambda: database,
    ).loads()


def test_a_node_that_has_not_joined_is_nobodys_candidate(tmp_path: Path) -> None:
    assert own_load(tmp_path, 0, node=None) == []


def test_the_figures_are_those_of_fleet_and_host(tmp_path: Path) -> None:
    (load,) = own_load(tmp_path, 2048)
    assert (load.node_id, load.guests, load.promised_mib) == (1, 3, 2048)
    assert (load.starts_waiting, load.starts_waiting_max) == (1, 10)
    assert (load.start_tokens, load.start_tokens_free) == (2, 0)
    assert load.drivers == {"lxc"}


def test_a_node_that_is_emptied_says_so(tmp_path: Path) -> None:
    assert [own_load(tmp_path, 0, draining=wish)[0].draining for wish in (True, False)] == [
        True,
        False,
    ]


def test_a_node_that_misses_the_database_says_so(tmp_path: Path) -> None:
    told = [own_load(tmp_path, 0, database=there)[0].database for there in (True, False)]
    assert told == [True, False]


def test_the_image_versions_on_disk_are_told(tmp_path: Path) -> None:
    for folder in ("4/1/rootfs", "4/3/rootfs", "9/1/unpacking", "lost+found/1/rootfs"):
        (tmp_path / "images" / folder).mkdir(parents=True)
    (load,) = own_load(tmp_path, 0)
    told = {(i, v) for i in (4, 9) for v in (1, 2, 3) if load.may_have(image_bit(i, v))}
    assert told == {(4, 1), (4, 3)}


def test_placement_and_admission_draw_the_same_line(tmp_path: Path) -> None:
    reader = HostMemoryReader(proc=tmp_path, ksm=tmp_path)
    admission = HostAdmission(reader.memory, MEMORY)
    for promised_mib in (0, 13_823, 13_824, 13_825, 20_000):
        (load,) = own_load(tmp_path, promised_mib)
        admitted = admission.refusal(512, promised_mib) is None
        assert (refusal(Wish(memory_mib=512, driver="lxc"), load) is None) is admitted
