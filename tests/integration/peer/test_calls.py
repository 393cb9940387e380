"""Calls between two nodes over real connections, when something goes wrong."""

import asyncio
import time
from dataclasses import replace
from pathlib import Path

import pytest

from qvdnode.model.display_params import DisplayParams
from qvdnode.model.errors import Invalid, Unavailable
from qvdnode.model.ids import NodeId
from qvdnode.model.seat import (
    Evicted,
    Progressed,
)
from qvdnode.model.vm_state import VmState
from qvdnode.peer import calls, remote_host
from qvdnode.wire.peer_frames import (
    Answer,
    Call,
    Notice,
    encode,
)
from qvdnode.wire.typed_values import to_plain
from tests.fakes.orders import desktop_order
from tests.integration.peer.two_nodes import (
    ENTRY,
    OWNER,
    QUICK,
    THIRD,
    VM,
    Farm,
    a_farm,
    heard,
    passes,
    raw_connection,
    viewer,
)
from tests.waiting import until


async def test_a_node_that_is_away_is_said_to_be_at_once(farm: Farm) -> None:
    await until(lambda: farm.host.problem != "it is being connected to")
    before_s = time.monotonic()
    with pytest.raises(Unavailable, match="Node 2 cannot be reached now: node 2 is away"):
        await farm.host.status(VM)
    assert time.monotonic() - before_s < 1
    async with farm.owner():
        await until(lambda: farm.host.problem is None)
        assert await farm.host.status(VM) is None


async def test_calls_fail_when_the_link_breaks_and_work_again_on_the_next(farm: Farm) -> None:
    async with farm.owner():
        farm.fleet.hold()
        starting = asyncio.ensure_future(farm.host.start(desktop_order(VM)))
        await until(lambda: farm.fleet.guest(VM))
    with pytest.raises(Unavailable, match="Node 2 cannot be reached now"):
        await starting
    async with farm.owner():
        await until(lambda: farm.host.problem is None)
        status = await farm.host.status(VM)
        assert status is not None
        assert status.state is VmState.PREPARING


async def test_a_call_after_a_break_waits_for_the_next_link(farm: Farm) -> None:
    async with farm.owner():
        assert await farm.host.status(VM) is None
        await passes(QUICK.silence_limit_s + 0.1)  # it has lasted, so it is made anew at once
        await farm.break_link()
        assert await farm.host.status(VM) is None


async def test_a_client_waits_at_this_node_while_the_other_one_is_restarted(farm: Farm) -> None:
    async with farm.owner() as owner:
        owner.service.stop()
        attaching = asyncio.ensure_future(farm.attach())
        await passes(0.3)
        with pytest.raises(Unavailable, match="cannot be reached now"):
            await farm.host.status(VM)
        assert not attaching.done()
    async with farm.owner() as owner:
        async with asyncio.timeout(10):
            assert (await attaching).vm_id == VM


async def test_a_client_does_not_wait_for_ever(farm: Farm, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote_host, "RESTART_S", 0.5)
    async with farm.owner():
        assert await farm.host.status(VM) is None
    async with asyncio.timeout(10):
        with pytest.raises(Unavailable, match="cannot be reached now"):
            await farm.attach()


async def test_a_node_that_is_up_again_is_dialled_at_once(tmp_path: Path) -> None:
    slow = replace(QUICK, redial_first_s=3600.0, redial_most_s=3600.0)
    async with a_farm(tmp_path, slow) as farm:
        await until(lambda: "away" in str(farm.host.problem), what="the first attempt")
        farm.links.redial(THIRD)
        opened = asyncio.ensure_future(first_status(farm))
        await passes(0.2)
        assert not opened.done()
        farm.links.redial(OWNER)
        async with asyncio.timeout(10):
            await opened


async def first_status(farm: Farm) -> None:
    """Serve, and ask once the node is linked to."""
    async with farm.owner():
        assert await farm.host.status(VM) is None


async def test_calls_wait_until_the_guests_are_adopted(farm: Farm) -> None:
    async with farm.owner() as owner:
        owner.service.hold()
        asking = asyncio.ensure_future(farm.host.status(VM))
        await passes(0.2)
        assert not asking.done()
        owner.service.release()
        assert await asking is None


async def test_a_node_hears_who_has_connected_to_it(farm: Farm) -> None:
    linked = list[NodeId]()
    async with farm.owner() as owner:
        owner.service._linked = linked.append
        await farm.break_link()
        assert (await farm.attach()).vm_id == VM
        assert linked == [ENTRY]


async def test_events_reach_the_node_of_their_viewer_alone(farm: Farm) -> None:
    async with farm.owner() as owner:
        assert await farm.host.status(VM) is None
        event = Progressed(viewer(), "Starting virtual machine")
        owner.service.tell(THIRD, Progressed(viewer(node=THIRD), "not for you"))
        owner.service.tell(ENTRY, event)
        owner.service.tell(ENTRY, Evicted(viewer(), "a newer connection took over"))
        assert await farm.host.status(VM) is None
    assert farm.events == [event, Evicted(viewer(), "a newer connection took over")]


async def test_a_node_cannot_ask_for_clients_of_another(farm: Farm) -> None:
    async with farm.owner():
        with pytest.raises(Invalid, match="clients of its own"):
            await farm.host.attach(desktop_order(VM), DisplayParams(), viewer(node=THIRD))
        with pytest.raises(Invalid, match="clients of its own"):
            await farm.host.start(desktop_order(VM), viewer(node=THIRD))


async def test_too_many_calls_at_once_are_refused(farm: Farm) -> None:
    async with farm.owner():
        farm.fleet.hold()
        stops = [asyncio.ensure_future(farm.host.stop(VM)) for _ in range(QUICK.calls_max)]
        await passes(0.05)
        with pytest.raises(Unavailable, match="too much at once"):
            await farm.host.stop(VM)
        farm.fleet.let_go()
        await asyncio.gather(*stops)
        assert await farm.host.status(VM) is None


async def test_a_mistake_on_the_other_node_is_told_and_stays_there(
    farm: Farm, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with farm.owner():
        monkeypatch.setattr(farm.fleet, "_guests", None)
        with pytest.raises(Unavailable, match="made a mistake"):
            await farm.host.statuses()
        monkeypatch.undo()
        assert not await farm.host.statuses()
    assert any(record.msg == "peer_call_failed" for record in caplog.records)
    caplog.clear()


async def test_what_a_newer_node_adds_is_ignored_or_told_to_upgrade(farm: Farm) -> None:
    async with farm.owner():
        connection = await raw_connection(farm)
        new_frame = b"\x92\x63\x01"
        connection.pipe.write(
            encode(Notice("rejoiced", {"about": 1}))
            + len(new_frame).to_bytes(4)
            + new_frame
            + encode(Call(1, "status", {"vm_id": 7, "in_colour": True}))
            + encode(Call(2, "paint", {}))
        )
        assert await heard(connection) == Answer(1, None)
        answer = to_plain(await heard(connection))
        assert answer["code"] == "unknown_call"
        assert "does not know the call 'paint'; upgrade" in answer["message"]
        connection.pipe.abort()


async def test_an_older_node_is_told_of_as_such(farm: Farm) -> None:
    async with farm.owner():
        newer = replace(calls.STATUS, name="status_in_colour")
        with pytest.raises(Unavailable, match=r"runs an older version .* upgrade qvdnode there"):
            await farm.host._client.call(newer, calls.OfVm(VM))


async def test_a_newer_connection_of_a_node_replaces_the_older(farm: Farm) -> None:
    async with farm.owner() as owner:
        first = await raw_connection(farm)
        await until(lambda: THIRD in owner.service._links)
        second = await raw_connection(farm)
        async with asyncio.timeout(30):
            await first.pipe.closed()
        second.pipe.write(encode(Call(1, "status", {"vm_id": 7})))
        assert await heard(second) == Answer(1, None)
        second.pipe.abort()


async def test_a_call_that_takes_too_long_is_given_up(farm: Farm) -> None:
    async with farm.owner():
        farm.fleet.hold()
        slow = replace(calls.STOP, limit_s=0.1)
        with pytest.raises(Unavailable, match=r"did not answer 'stop' in 0.1 seconds"):
            await farm.host._client.call(slow, calls.OfVm(VM))
        await until(lambda: not farm.host._client._pending)
        farm.fleet.let_go()


async def test_a_node_that_is_not_followed_any_more_has_no_link(farm: Farm) -> None:
    async with farm.owner() as owner:
        assert await farm.host.status(VM) is None
        assert list(farm.links) == [OWNER]
        farm.links.follow([])
        assert not farm.links
        await until(lambda: not owner.service._links)


async def test_a_call_that_waits_for_a_node_ends_when_it_is_not_followed_any_more(
    farm: Farm,
) -> None:
    farm.network.held = asyncio.Event()
    farm.links.follow([THIRD])
    host = farm.links[THIRD]
    await until(lambda: farm.network.dialling)
    waiting = asyncio.ensure_future(host.status(VM))
    await asyncio.sleep(0)
    farm.links.follow([])
    with pytest.raises(Unavailable, match="no link to it any more"):
        await waiting
