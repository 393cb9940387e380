"""Session rows in PostgreSQL."""

import pytest

from qvdnode.db.nodes import Nodes
from qvdnode.db.pool import Database
from qvdnode.db.sessions import Sessions
from qvdnode.db.vms import Vms
from qvdnode.model.ids import NodeId, UserId, VmId
from qvdnode.model.listing import Page
from tests.integration.db.sample import make_sample

pytestmark = pytest.mark.postgres

ONE, TWO = NodeId(1), NodeId(2)


async def open_one(sessions: Sessions, node: NodeId = ONE, vm: int = 7) -> int:
    return await sessions.opened(VmId(vm), UserId(3), node, source="192.0.2.1", client=None)


async def test_a_session_is_open_until_it_is_closed_once(database: Database) -> None:
    sessions = Sessions(database)
    row = await open_one(sessions)
    await sessions.closed(row, reason="client left", bytes_in=1, bytes_out=2**40)
    await sessions.closed(row, reason="again", bytes_in=0, bytes_out=0)
    (found,) = (await sessions.list(Page())).items
    assert (found.reason, found.bytes_in, found.bytes_out) == ("client left", 1, 2**40)
    assert found.closed_at is not None
    assert found.closed_at >= found.opened_at


async def test_what_an_earlier_process_left_open_is_closed(database: Database) -> None:
    sessions = Sessions(database)
    await open_one(sessions)
    other = await open_one(sessions, TWO)
    assert await sessions.close_stale(ONE) == 1
    assert [item.id for item in (await sessions.list(Page(), open_only=True)).items] == [other]


async def test_a_session_knows_the_names_of_what_is_still_there(database: Database) -> None:
    sample, sessions = await make_sample(database), Sessions(database)
    seat = await Nodes(database).join("one", "boot", "::1")
    await sessions.opened(
        sample.vm.id, sample.user.id, seat.node_id, source="192.0.2.1", client="linux"
    )
    (named,) = (await sessions.list(Page())).items
    assert (named.vm, named.user, named.tenant, named.node) == ("desk", "alice", "default", "one")
    await Vms(database).delete(sample.vm.id)
    (later,) = (await sessions.list(Page())).items
    assert (later.vm_id, later.vm, later.user) == (sample.vm.id, None, "alice")


async def test_newest_first_goes_back_page_by_page(database: Database) -> None:
    sessions = Sessions(database)
    rows = [await open_one(sessions) for _ in range(3)]
    first = await sessions.list(Page(limit=2, sort="-id"))
    assert [item.id for item in first.items] == [rows[2], rows[1]]
    rest = await sessions.list(Page(limit=2, after=first.next_after or 0, sort="-id"))
    assert [item.id for item in rest.items] == [rows[0]]
    assert rest.next_after is None


async def test_lists_are_filtered(database: Database) -> None:
    sessions = Sessions(database)
    row = await open_one(sessions, vm=8)
    await open_one(sessions)
    assert [item.id for item in (await sessions.list(Page(), vm_id=VmId(8))).items] == [row]
    assert (await sessions.list(Page(), user_id=UserId(999))).items == ()
    assert len((await sessions.list(Page(), user_id=UserId(3))).items) == 2
