"""A node that has no room, or no luck: each start is refused with its reason and leaves nothing."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests.harness.farm import Desk, make_desk, make_flavour, until_vm, vm_view
from tests.harness.host_traces import traces
from tests.harness.node import NodeProcess, running_node
from tests.harness.node import test_root as state_root
from tests.harness.qvd import Answer
from tests.harness.rest import Refused
from tests.integration.image.tiny_root import Piece, complete, stream, tar
from tests.waiting import until

pytestmark = pytest.mark.asyncio(loop_scope="session")

LIBRARIES = ("/lib64/ld-linux-x86-64.so.2", "/lib/x86_64-linux-gnu/libc.so.6", "/bin/sleep")
DEAD_INIT = b"#!/bin/sh\nexit 7\n"
SILENT_INIT = b"#!/bin/sh\ntrap 'exit 0' TERM\nwhile :; do sleep 0.1; done\n"
BOOT_LIMIT_S = 5.0


def image_with(init: bytes) -> bytes:
    """A root with a shell, that PID 1, and a session script that only says that all is well."""
    libraries = [Piece(f".{name}", Path(name).resolve().read_bytes()) for name in LIBRARIES[:2]]
    sleep = Piece("./usr/bin/sleep", Path(LIBRARIES[2]).read_bytes())
    pieces = [piece for piece in complete() if piece.name != "./usr/lib/qvd/init"]
    return tar([*pieces, Piece("./usr/lib/qvd/init", init), *libraries, sleep])


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def small() -> AsyncIterator[NodeProcess]:
    """A node that starts one VM at a time, with images whose desktops never come up."""
    vm = {"starts_at_once": 1, "queue_max": 1, "boot_limit_s": BOOT_LIMIT_S}
    async with running_node(state_root(), node={"stop_guests": True}, vm=vm) as node:
        async with node.rest() as rest:
            for name, init in {"dead": DEAD_INIT, "silent": SILENT_INIT}.items():
                content = stream(image_with(init), 1 << 20)
                (*_, last) = await rest.call("POST", f"/images/{name}/versions", data=content)
                assert '"version"' in last, last
                await make_flavour(rest, name, name)
        yield node


class Desks:
    """Makes users of the small node, each with a login that no other test of it took."""

    def __init__(self, node: NodeProcess) -> None:
        self._node = node
        self._numbers = count(1)

    async def __call__(self, flavour: str) -> Desk:
        """A user with a VM."""
        async with self._node.rest() as rest:
            number = (await rest.get(f"/flavours?name={flavour}"))["items"][0]["id"]
            login = f"{flavour}{next(self._numbers)}"
            return await make_desk(self._node, rest, login, number)


@pytest.fixture(scope="module")
def make_small(small: NodeProcess) -> Desks:
    """Users of the small node."""
    return Desks(small)


@asynccontextmanager
async def changed(node: NodeProcess, section: str, **values: Any) -> AsyncIterator[None]:
    """The node started anew with other settings, and afterwards as it was."""
    before = dict(node.settings.get(section, {}))
    await node.stop()
    node.settings[section] = {**before, **values}
    await node.start()
    try:
        yield
    finally:
        await node.stop()
        node.settings[section] = before
        await node.start()


async def connect(desk: Desk) -> Answer:
    """Ask for the desktop, and hang up."""
    async with desk.dial() as connection:
        return await connection.connect(desk.vm_id)


def left_of(desk: Desk) -> set[str]:
    """What the host still has of the guests of the desk's node, on which none runs now."""
    own = ("table ", "process ", "record ", "lock ")
    return {
        trace
        for trace in traces(desk.node)
        if not trace.startswith(own)
        and not trace.endswith(("qvd0", "guests", "guests-pivot", "lxc.pivot"))
    }


async def never_started(desk: Desk) -> None:
    """The VM has no generation and nothing on the host."""
    async with desk.node.rest() as rest:
        view = await vm_view(rest, desk.vm_id)
    assert (view["state"], view["generation"]) == ("stopped", 0), view
    assert left_of(desk) == set()


async def test_a_full_disk_is_told_and_nothing_starts(
    small: NodeProcess, make_small: Desks
) -> None:
    desk = await make_small("silent")
    async with changed(small, "image", free_floor_mib=1 << 30), small.rest() as rest:
        answer = await connect(desk)
        assert (answer.status, b"disk is nearly full" in answer.body) == (503, True), answer
        with pytest.raises(Refused, match="disk is nearly full"):
            await rest.post(f"/vms/{desk.vm_id}/start?wait=true")
        await never_started(desk)
        assert await rest.status("/readyz") == 503
        assert await rest.status("/healthz") == 200
        content = stream(image_with(DEAD_INIT), 1 << 20)
        (*_, last) = await rest.call("POST", "/images/more/versions", data=content)
        assert "node_full" in last
    async with small.rest() as rest:
        assert await rest.status("/readyz") == 200


async def test_a_node_whose_disk_is_promised_says_what_to_change(
    small: NodeProcess, make_small: Desks
) -> None:
    desk = await make_small("silent")
    async with changed(small, "image", disk_overcommit=1e-6), small.rest() as rest:
        answer = await connect(desk)
        assert (answer.status, b"image.disk_overcommit" in answer.body) == (503, True), answer
        await never_started(desk)
        (store,) = (await rest.get("/node"))["limits"]["disk"]
        assert store["folder"] == str(small.state_dir)
        assert store["capacity_mib"] < 512
        assert store["free_mib"] > 512


async def test_a_node_without_memory_says_that_it_is_full(
    small: NodeProcess, make_small: Desks
) -> None:
    desk = await make_small("silent")
    async with changed(small, "memory", host_reserve_mib=1 << 30):
        answer = await connect(desk)
        assert (answer.status, b"MiB of memory are left" in answer.body) == (503, True), answer
        await never_started(desk)


async def test_a_container_that_does_not_boot_is_told_and_leaves_nothing(
    small: NodeProcess, make_small: Desks
) -> None:
    desk = await make_small("dead")
    answer = await connect(desk)
    assert answer.status == 500, answer
    # Which of the two it is depends on whether its PID 1 is seen alive at all.
    said = b"ended at once" in answer.body or b"ended while it was coming up" in answer.body
    assert said, answer
    async with small.rest() as rest:
        view = await until_vm(rest, desk.vm_id, state="failed")
    assert view["error"]
    assert left_of(desk) == set()


async def test_a_desktop_that_never_comes_up_is_given_up_in_time(
    small: NodeProcess, make_small: Desks
) -> None:
    desk = await make_small("silent")
    answer = await asyncio.wait_for(connect(desk), BOOT_LIMIT_S + 30)
    assert (answer.status, b"did not come up" in answer.body) == (408, True), answer
    async with small.rest() as rest:
        await until_vm(rest, desk.vm_id, state="failed")
    assert left_of(desk) == set()


async def test_who_waits_is_told_the_place_and_who_finds_the_queue_full_is_told_too(
    small: NodeProcess, make_small: Desks
) -> None:
    first, second, third = [await make_small("silent") for _ in range(3)]
    async with first.dial() as one, second.dial() as two, small.rest() as rest:
        starting = asyncio.create_task(one.connect(first.vm_id))
        await until_vm(rest, first.vm_id, state="booting")
        waiting = asyncio.create_task(two.connect(second.vm_id))
        await until_vm(rest, second.vm_id, queue_place=1)
        refused = await connect(third)
        assert (refused.status, b"waits to be started" in refused.body) == (503, True), refused
        two.abort()  # whoever gives up the place leaves nothing behind
        await until_vm(rest, first.vm_id, state="failed", limit_s=BOOT_LIMIT_S + 30)
        await asyncio.gather(starting, waiting, return_exceptions=True)
        await rest.post(f"/vms/{second.vm_id}/stop?wait=true")
    await never_started(third)
    assert left_of(second) == set()


async def test_the_place_in_the_queue_reaches_the_waiting_client(
    small: NodeProcess, make_small: Desks
) -> None:
    first, second = await make_small("silent"), await make_small("silent")
    async with first.dial() as one, second.dial() as two, small.rest() as rest:
        starting = asyncio.create_task(one.connect(first.vm_id))
        await until_vm(rest, first.vm_id, state="booting")
        waiting = asyncio.create_task(two.connect(second.vm_id))
        await until_vm(rest, second.vm_id, queue_place=1)
        await rest.post(f"/vms/{first.vm_id}/stop?wait=true")
        await until_vm(rest, second.vm_id, state="booting")
        await rest.post(f"/vms/{second.vm_id}/stop?wait=true")
        answer = await waiting
        assert any("number 1 in the queue" in said for said in answer.progress), answer.progress
        await starting


async def test_a_stop_while_it_starts_cancels_and_unwinds(
    small: NodeProcess, make_small: Desks
) -> None:
    desk = await make_small("silent")
    async with desk.dial() as connection, desk.dial() as other, small.rest() as rest:
        starting = asyncio.create_task(connection.connect(desk.vm_id))
        await until(lambda: f"/vms/{desk.vm_id}/" in str(traces(small)), what="its first mount")
        stopped = await other.ask(f"/qvd/stop_vm?id={desk.vm_id}")
        assert stopped.status == 200, stopped
        answer = await starting
        assert (answer.status, b"stopped" in answer.body) == (503, True), answer
        await until_vm(rest, desk.vm_id, state="stopped")
    assert left_of(desk) == set()


async def test_an_import_into_a_name_that_is_none_is_refused(small: NodeProcess) -> None:
    async with small.rest() as rest:
        with pytest.raises(Refused):
            await rest.call("POST", "/images/..%2Fup/versions", data=stream(b"x"))
