"""A node tells the others where the farm's database is, and how it is from outside."""

import pytest

from qvdnode.model.errors import Unavailable
from qvdnode.peer.examination import examine_peer
from qvdnode.peer.farm_files import NodeAddress
from qvdnode.peer.hello import PROGRAM
from qvdnode.peer.listener import Services
from qvdnode.peer.ports import Purpose
from qvdnode.peer.signpost import Signpost, ask_place
from qvdnode.runtime.supervise import Supervisor
from tests.integration.peer.conftest import MakeNode

pytestmark = pytest.mark.postgres


async def test_a_node_that_asks_is_told(make_node: MakeNode) -> None:
    one, two = make_node("one"), make_node("two")
    await one.enter()
    async with Supervisor("one") as tasks:
        others = {Purpose.DATABASE_PLACE: Signpost(lambda: b"sealed")}
        _ = tasks.essential("port", one.listener.run(Services(one.admission, others)))
        await two.invited_by(one)
        await two.enter()
        await one.directory.refresh()
        assert await ask_place(two.dialer, one.seat.node_id) == b"sealed"
        seen = await examine_peer(two.own, two.directory.get(one.seat.node_id).address, two.clock)
    assert (seen.problem, seen.program) == (None, PROGRAM)
    assert seen.ahead_s is not None
    assert abs(seen.ahead_s) < 5
    assert seen.certificate_ends is not None
    one.listener.close()


async def test_a_node_of_an_older_program_is_reached_all_the_same(make_node: MakeNode) -> None:
    one, two = make_node("one"), make_node("two")
    await one.enter()
    async with one.serving():
        await two.invited_by(one)
        await two.enter()
        await one.directory.refresh()
        address = two.directory.get(one.seat.node_id).address
        seen = await examine_peer(two.own, address, two.clock)
        assert (seen.problem, seen.program) == (None, "")
        with pytest.raises(Unavailable, match="does not serve"):
            await ask_place(two.dialer, one.seat.node_id)
        wrong = NodeAddress(address.node_id, address.host, address.port, b"other")
        assert "another key" in str((await examine_peer(two.own, wrong, two.clock)).problem)
    nobody = NodeAddress(address.node_id, "127.0.0.1", 1, address.key)
    assert (await examine_peer(two.own, nobody, two.clock)).problem is not None
