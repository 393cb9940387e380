"""Ownership under races and lost answers; what it promises in peace is in the contract tests."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from qvdnode.db.nodes import NodeMembership, Nodes
from qvdnode.db.ownership import Ownership
from qvdnode.db.pool import Database
from qvdnode.db.settings import DatabaseSettings
from qvdnode.db.users import Users
from qvdnode.db.vms import Vms
from qvdnode.model.errors import AcquireUnknown, Conflict, LeaseLost, Unavailable
from qvdnode.model.ids import Generation
from qvdnode.model.vm_state import VmState
from qvdnode.runtime.clock import SystemClock
from tests.integration.db.sample import make_sample

pytestmark = pytest.mark.postgres

NODES = 8


async def seats(db: Database, count: int) -> list[NodeMembership]:
    return [await Nodes(db).join(f"node{number}", "boot", "::1") for number in range(count)]


async def test_of_many_nodes_at_once_exactly_one_gets_the_vm(database: Database) -> None:
    vm = (await make_sample(database)).vm
    owners = [Ownership(database, seat) for seat in await seats(database, NODES)]
    outcomes = await asyncio.gather(
        *(owner.acquire(vm.id) for owner in owners), return_exceptions=True
    )
    assert outcomes.count(Generation(1)) == 1
    assert sum(isinstance(outcome, Conflict) for outcome in outcomes) == NODES - 1


async def test_two_desktops_of_a_new_user_begin_one_home(database: Database) -> None:
    """Started on different nodes at the same time, one of them is refused."""
    sample = await make_sample(database)
    second = await Vms(database).create(sample.vm.user_id, sample.vm.flavour_id, "second")
    owners = [Ownership(database, seat) for seat in await seats(database, 2)]
    starts = zip(owners, (sample.vm.id, second.id), strict=True)
    outcomes = await asyncio.gather(
        *(owner.acquire(vm_id) for owner, vm_id in starts), return_exceptions=True
    )
    assert [type(outcome) for outcome in outcomes if outcome != 1] == [Conflict]


async def test_a_fencer_that_comes_first_makes_the_claim_fail(database: Database) -> None:
    """The claim waits for the fencer's lock and then sees that the node is fenced."""
    vm = (await make_sample(database)).vm
    (seat,) = await seats(database, 1)
    async with database.transaction() as fencer:
        await fencer.execute(
            "UPDATE node SET state = 'fenced', epoch = epoch + 1 WHERE id = $1", seat.node_id
        )
        claim = asyncio.ensure_future(Ownership(database, seat).acquire(vm.id))
        done, _ = await asyncio.wait({claim}, timeout=0.3)
        assert not done
    with pytest.raises(LeaseLost):
        await claim


async def test_a_fencer_that_comes_second_waits_for_the_claim(database: Database) -> None:
    (seat,) = await seats(database, 1)
    nodes = Nodes(database)
    await nodes.renew(seat.node_id, seat.epoch, -60)
    async with database.transaction() as claim:
        await claim.fetchval("SELECT 1 FROM node WHERE id = $1 FOR SHARE", seat.node_id)
        fencing = asyncio.ensure_future(nodes.fence(seat.node_id, grace_s=0))
        done, _ = await asyncio.wait({fencing}, timeout=0.3)
        assert not done
    assert await fencing == 0


async def test_the_vm_of_a_node_that_is_away_waits_for_it_or_for_a_fencer(
    database: Database,
) -> None:
    vm = (await make_sample(database)).vm
    gone, here = await seats(database, 2)
    nodes, ours = Nodes(database), Ownership(database, here)
    old = await Ownership(database, gone).acquire(vm.id)
    with pytest.raises(Conflict, match="runs on node"):
        await ours.acquire(vm.id)
    await nodes.renew(gone.node_id, gone.epoch, -60)
    with pytest.raises(Unavailable, match="which is away"):
        await ours.acquire(vm.id)
    assert await nodes.fence(gone.node_id) == 1
    assert (await Vms(database).get(vm.id)).state is VmState.STOPPED
    with pytest.raises(LeaseLost):
        await Ownership(database, gone).record(vm.id, old, VmState.RUNNING)
    with pytest.raises(Conflict, match="files of this desktop's user are on node node0"):
        await ours.acquire(vm.id)
    await Users(database).set_home_node(vm.user_id, here.node_id)
    assert await ours.acquire(vm.id) > old


async def test_a_lease_that_ran_out_claims_nothing(database: Database) -> None:
    vm = (await make_sample(database)).vm
    (seat,) = await seats(database, 1)
    await Nodes(database).renew(seat.node_id, seat.epoch, -1)
    with pytest.raises(LeaseLost):
        await Ownership(database, seat).acquire(vm.id)


async def test_an_older_process_of_the_same_node_claims_nothing(database: Database) -> None:
    vm = (await make_sample(database)).vm
    (old,) = await seats(database, 1)
    await seats(database, 1)
    with pytest.raises(LeaseLost):
        await Ownership(database, old).acquire(vm.id)


class CommitCutter:
    """A relay before the server that cuts the connection once a COMMIT went through."""

    def __init__(self, socket: str) -> None:
        self._socket = socket
        self.commits_before_cut = 0
        """Cut after that many more commits; 0 is never."""
        self.then_dead = False
        """Whether nobody gets through after the cut."""
        self._dead = False

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._dead:
            writer.close()
            return
        down, up = await asyncio.open_unix_connection(self._socket)
        async with asyncio.TaskGroup() as tasks:
            back = tasks.create_task(self._pump(down, writer))
            while data := await reader.read(65_536):
                cut = b"COMMIT;" in data and self._counts()
                if cut:
                    back.cancel()
                    await asyncio.wait({back})
                up.write(data)
                if cut:
                    await down.read(1)  # the server has committed and says so, to nobody
                    break
            back.cancel()
        writer.close()
        up.close()

    def _counts(self) -> bool:
        self.commits_before_cut -= 1
        self._dead = self.then_dead and self.commits_before_cut == 0
        return self.commits_before_cut == 0

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65_536):
            writer.write(data)
        writer.close()


@asynccontextmanager
async def cut_pool(dsn: str, folder: Path) -> AsyncIterator[tuple[Database, CommitCutter]]:
    socket_folder = parse_qs(urlsplit(dsn).query)["host"][0]
    cutter = CommitCutter(f"{socket_folder}/.s.PGSQL.5432")
    server = await asyncio.start_unix_server(cutter.serve, folder / ".s.PGSQL.5432")
    async with server:
        pool = await Database.open(
            dsn.replace(socket_folder, str(folder)), DatabaseSettings(), SystemClock(),
            random.Random(1),
        )  # fmt: skip
        yield pool, cutter
        await pool.close()


async def test_a_claim_whose_answer_was_lost_is_found_in_its_row(
    postgres_dsn: str, tmp_path: Path
) -> None:
    async with cut_pool(postgres_dsn, tmp_path) as (pool, cutter):
        vm = (await make_sample(pool)).vm
        (seat,) = await seats(pool, 1)
        cutter.commits_before_cut = 1
        assert await Ownership(pool, seat).acquire(vm.id) == Generation(1)
        assert cutter.commits_before_cut == 0


async def test_a_claim_that_cannot_be_settled_says_what_is_to_be_released(
    postgres_dsn: str, database: Database, tmp_path: Path
) -> None:
    async with cut_pool(postgres_dsn, tmp_path) as (pool, cutter):
        vm = (await make_sample(pool)).vm
        (seat,) = await seats(pool, 1)
        cutter.commits_before_cut, cutter.then_dead = 1, True
        with pytest.raises(AcquireUnknown) as caught:
            await Ownership(pool, seat).acquire(vm.id)
    assert (await Vms(database).get(vm.id)).state is VmState.PREPARING
    await Ownership(database, seat).release(vm.id, caught.value.generation, VmState.STOPPED)
    assert (await Vms(database).get(vm.id)).state is VmState.STOPPED
    await Vms(database).delete(vm.id)


async def test_a_claim_that_cannot_be_settled_is_no_claim_and_can_be_made_again(
    postgres_dsn: str, database: Database, tmp_path: Path
) -> None:
    async with cut_pool(postgres_dsn, tmp_path) as (pool, cutter):
        vm = (await make_sample(pool)).vm
        (seat,) = await seats(pool, 1)
        cutter.commits_before_cut, cutter.then_dead = 1, True
        with pytest.raises(Unavailable):
            await Ownership(pool, seat).acquire(vm.id)
    assert await Ownership(database, seat).acquire(vm.id) == Generation(2)
