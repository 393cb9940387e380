"""A host joins a farm with an invitation, and with nothing else; a real database keeps both."""

import asyncio
from datetime import datetime, timedelta

import pytest

from qvdnode.db.farm import Newcomer
from qvdnode.db.pool import Database
from qvdnode.model.errors import Conflict, FarmError, Forbidden, Unavailable
from qvdnode.model.ids import NodeId
from qvdnode.peer.invitations import Token, parse_token
from qvdnode.peer.ports import Purpose
from qvdnode.runtime.tokens import digest, new_token
from tests.fakes.clock import ManualClock
from tests.integration.peer.conftest import MakeNode
from tests.integration.peer.peer_farm import PeerNode, echoed

pytestmark = pytest.mark.postgres


async def test_a_host_joins_and_both_nodes_speak(first: PeerNode, second: PeerNode) -> None:
    """Its number, its certificate and the way to the database are what the farm gave it."""
    member = second.own.member
    assert member.node_id == second.seat.node_id != first.seat.node_id
    assert member.farm_id == first.own.member.farm_id
    assert member.dsn == first.dsn
    assert await echoed(second, first) == b"ping"
    assert await echoed(first, second) == b"ping"
    assert first.echo.served == [second.seat.node_id]


async def test_the_private_key_never_leaves_the_host(first: PeerNode, second: PeerNode) -> None:
    """Each node has a key of its own, that the other has no file of."""
    keys = {node.own.files.key_pem() for node in (first, second)}
    assert len(keys) == 2
    for path in first.folder.iterdir():
        assert second.own.files.key_pem() not in path.read_bytes()


async def test_any_node_admits_others(
    first: PeerNode, second: PeerNode, make_node: MakeNode
) -> None:
    """There is no node that all others need."""
    third = make_node("three")
    await third.invited_by(second)
    await third.enter()
    async with third.serving():
        assert await echoed(third, first) == b"ping"


async def test_joining_can_be_repeated_by_the_same_host(
    first: PeerNode, make_node: MakeNode
) -> None:
    """As after an answer that was lost on the way."""
    node = make_node("two")
    made = await first.admission.invite(name=None, life_s=600)
    once = await node.join(made.url, made.token)
    again = await node.join(made.url, made.token)
    assert once.member.node_id == again.member.node_id


async def refused(node: PeerNode, url: str, token: str) -> str:
    """Why the farm does not admit the host, which has joined nothing then."""
    with pytest.raises(FarmError) as refusal:
        await node.join(url, token)
    assert node.own.files.member() is None
    assert node.own.files.identity() is None
    return str(refusal.value)


async def test_a_token_is_good_for_one_host(first: PeerNode, make_node: MakeNode) -> None:
    """Another one is told to ask for an invitation of its own."""
    made = await first.admission.invite(name=None, life_s=600)
    await make_node("two").join(made.url, made.token)
    assert "Another host has joined" in await refused(make_node("three"), made.url, made.token)


async def test_a_token_that_nobody_made_is_refused(first: PeerNode, make_node: MakeNode) -> None:
    """Though it has the farm's pin."""
    made = await first.admission.invite(name=None, life_s=600)
    token = Token(new_token(), parse_token(made.token).pin)
    assert "unknown to this farm" in await refused(make_node("two"), made.url, str(token))


async def test_a_token_expires(first: PeerNode, make_node: MakeNode, database: Database) -> None:
    """By the database's clock."""
    made = await first.admission.invite(name=None, life_s=600)
    await database.execute("UPDATE node_invitation SET expires_at = now() - interval '1 s'")
    assert "has expired" in await refused(make_node("two"), made.url, made.token)


async def test_a_node_that_was_removed_gets_nothing_for_its_old_token(
    first: PeerNode, second: PeerNode, database: Database
) -> None:
    """Neither the farm's key nor the database's address of today, whose password was changed."""
    made = await first.admission.invite(name=None, life_s=600)
    secret = parse_token(made.token).secret
    await database.execute(
        "UPDATE node_invitation SET node_id = $2 WHERE digest = $1",
        digest(secret), second.seat.node_id,
    )  # fmt: skip
    assert (await second.join(made.url, made.token)).member.node_id == second.seat.node_id
    await database.execute("UPDATE node SET state = 'removed' WHERE id = $1", second.seat.node_id)
    with pytest.raises(Forbidden, match="Another host has joined"):
        await second.join(made.url, made.token)


async def test_a_removed_node_does_not_have_the_keys_of_the_membership(
    first: PeerNode, second: PeerNode, make_node: MakeNode
) -> None:
    """The others make new ones, and have the same, whoever notices first."""
    third = make_node("three")
    await third.invited_by(first)
    await third.enter()
    old = await third.enrolment.gossip_keys([])
    gone = [third.seat.node_id]
    nodes = (first, second)
    new = await asyncio.gather(*(node.enrolment.gossip_keys(gone) for node in nodes for _ in "123"))
    assert set(new) == {new[0]}
    assert not set(new[0]) & set(old)
    assert await second.enrolment.gossip_keys([]) == new[0]
    assert await second.enrolment.secrets() == await first.enrolment.secrets()


async def test_an_old_token_is_not_repeated(
    first: PeerNode, second: PeerNode, make_node: MakeNode, database: Database
) -> None:
    """Only as long as it was good for."""
    node = make_node("three")
    made = await first.admission.invite(name=None, life_s=600)
    await node.join(made.url, made.token)
    await database.execute("UPDATE node_invitation SET expires_at = now() - interval '1 s'")
    with pytest.raises(Forbidden, match="has expired"):
        await node.join(made.url, made.token)


async def test_a_flood_of_invented_tokens_fills_neither_log_nor_pool(
    first: PeerNode, make_node: MakeNode, database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    """Whoever can dial may try: the database is asked one at a time, and few lines are written."""
    made = await first.admission.invite(name=None, life_s=600)
    pin = parse_token(made.token).pin
    busy: list[int] = []
    redeem = first.enrolment.farm.redeem

    async def counted(token: str, newcomer: Newcomer) -> NodeId:
        busy.append(busy[-1] + 1 if busy else 1)
        try:
            return await redeem(token, newcomer)
        finally:
            busy.append(busy[-1] - 1)

    first.enrolment.farm.redeem = counted  # type: ignore[method-assign] # counts, and does the same
    node = make_node("two")
    with caplog.at_level("INFO"):
        tries = [node.join(made.url, str(Token(new_token(), pin))) for _ in range(12)]
        refusals = await asyncio.gather(*tries, return_exceptions=True)
    assert {type(refusal) for refusal in refusals} == {Forbidden}
    assert max(busy) == 1
    told = [record for record in caplog.records if record.getMessage() == "join_refused"]
    assert len(told) == 1


async def test_a_token_may_be_for_one_name(first: PeerNode, make_node: MakeNode) -> None:
    """A host of another name is told which one."""
    made = await first.admission.invite(name="desk2", life_s=600)
    assert "is for a node named desk2" in await refused(make_node("two"), made.url, made.token)


async def test_a_name_or_an_address_is_given_once(first: PeerNode, make_node: MakeNode) -> None:
    """The host keeps its token for another try."""
    made = await first.admission.invite(name=None, life_s=600)
    twin = make_node("one2")
    twin.name = "one"
    assert "has a node named one already" in await refused(twin, made.url, made.token)
    twin.name, port, twin.port = "two", twin.port, first.port
    assert "The node one has the address" in await refused(twin, made.url, made.token)
    twin.port = port
    await twin.join(made.url, made.token)


async def test_a_node_of_another_farm_gets_no_token(first: PeerNode, make_node: MakeNode) -> None:
    """The pin tells the new host whom it may trust; nothing is sent to anybody else."""
    made = await first.admission.invite(name=None, life_s=600)
    token = Token(parse_token(made.token).secret, "A" * 43)
    said = await refused(make_node("two"), made.url, str(token))
    assert "of another farm than the token" in said
    await make_node("three").join(made.url, made.token)  # the secret is still good


async def test_a_clock_an_hour_off_is_told(first: PeerNode, make_node: MakeNode) -> None:
    """Before the token is used."""
    made = await first.admission.invite(name=None, life_s=600)
    node = make_node("two")
    node.clock = ShiftedClock(first, timedelta(hours=1))
    assert "clock is 3600 s behind" in await refused(node, made.url, made.token)
    await make_node("three").join(made.url, made.token)


class ShiftedClock(ManualClock):
    """Another node's wall clock, with a difference."""

    def __init__(self, node: PeerNode, difference: timedelta) -> None:
        super().__init__()
        self._node, self._difference = node, difference

    def now(self) -> datetime:
        """As Clock."""
        return self._node.clock.now() + self._difference


async def test_an_older_program_is_told_to_upgrade(first: PeerNode, make_node: MakeNode) -> None:
    """One that does not know the database's schema could not serve."""
    with pytest.raises(Forbidden, match="is older than this farm's"):
        await make_node("two").invited_by(first, schema=1)


async def test_nobody_answers(first: PeerNode, make_node: MakeNode) -> None:
    """The reason is told, with the address."""
    made = await first.admission.invite(name=None, life_s=600)
    with pytest.raises(
        Unavailable, match=r"127\.0\.0\.1 port 1 cannot be joined: Connection refused"
    ):
        await make_node("two").join("qvdnode://127.0.0.1:1", made.token)


async def test_a_removed_node_cannot_come_back(first: PeerNode, second: PeerNode) -> None:
    """Its lease is refused, it cannot take its place again, and its certificate opens nothing."""
    connection = await second.dialer.dial(first.seat.node_id, Purpose.CALLS)
    with pytest.raises(Conflict):
        await first.nodes.remove(second.seat.node_id)  # it serves
    await first.nodes.leave(second.seat.node_id, second.seat.epoch, guests_stay=False)
    await first.nodes.remove(second.seat.node_id)
    assert not await second.nodes.renew(second.seat.node_id, second.seat.epoch)
    with pytest.raises(Forbidden, match="was removed from its farm"):
        await second.enter()
    await first.directory.refresh()
    with pytest.raises((EOFError, ConnectionError)):
        await connection.pipe.read_exactly(4)  # its open connections are closed
    connection.pipe.close()
    assert not second.dialer.removed.is_set()
    with pytest.raises(Unavailable, match="was removed"):
        await second.dialer.dial(first.seat.node_id, Purpose.CALLS)
    assert second.dialer.removed.is_set()  # and its program is told
    with pytest.raises(Unavailable, match="not in this farm, or was removed"):
        await first.dialer.dial(second.seat.node_id, Purpose.CALLS)


async def test_a_host_that_was_not_invited_does_not_serve(
    first: PeerNode, make_node: MakeNode
) -> None:
    """It has the database's address alone."""
    with pytest.raises(Forbidden, match="Run `qvd node invite` there"):
        await make_node("two").enter()
    assert [node.id for node in await first.nodes.peers()] == [first.seat.node_id]


async def test_a_farm_whose_keys_are_lost_gets_new_ones(
    first: PeerNode, make_node: MakeNode
) -> None:
    """A database that was restored on a new host begins anew, once no other node serves."""
    await first.nodes.leave(first.seat.node_id, first.seat.epoch, guests_stay=False)
    heir = make_node("heir")
    await heir.enter()
    assert heir.own.member.farm_id == first.own.member.farm_id
    assert heir.own.member.authority != first.own.member.authority
    assert heir.seat.node_id == NodeId(2)
    with pytest.raises(Forbidden, match="has not joined"):
        await first.enter()
