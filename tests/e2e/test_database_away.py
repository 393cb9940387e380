"""The embedded database is killed under a node: what runs goes on, and all heals by itself."""

import asyncio
import contextlib
import os
import signal
from pathlib import Path

import pytest

from tests.e2e.conftest import MakeDesk, Screen
from tests.e2e.test_desktop import viewing
from tests.harness.farm import until_vm
from tests.harness.host_traces import traces
from tests.harness.node import NodeProcess
from tests.harness.rest import Refused, Rest
from tests.waiting import until

pytestmark = pytest.mark.asyncio(loop_scope="session")


def postmaster(node: NodeProcess) -> int:
    """The process id of the node's database; 0 while there is none."""
    try:
        return int((node.state_dir / "pg/data/postmaster.pid").read_text().splitlines()[0])
    except (OSError, IndexError):
        return 0


def server_processes(node: NodeProcess) -> list[int]:
    """The database's processes, its connections included."""
    master = postmaster(node)
    children = Path(f"/proc/{master}/task/{master}/children").read_text()
    return [master, *(int(word) for word in children.split())]


async def test_a_running_desktop_is_reached_while_the_database_is_stopped_and_starts_are_refused(
    node: NodeProcess, make: MakeDesk, rest: Rest, screen: Screen, tmp_path: Path
) -> None:
    running, stopped = await make(), await make()
    async with viewing(running, screen, tmp_path / "before"):
        pass
    await until_vm(rest, running.vm_id, display="suspended")
    async with stopped.dial() as connection:  # the login is remembered from here on
        assert (await connection.ask("/qvd/list_of_vm")).status == 200
    frozen = server_processes(node)
    for pid in frozen:
        os.kill(pid, signal.SIGSTOP)
    try:
        async with stopped.dial() as connection:
            for refused in (
                await connection.ask("/qvd/list_of_vm"),
                await connection.connect(stopped.vm_id),
            ):
                assert refused.status == 503
                assert b"database" in refused.body.lower()
        async with viewing(running, screen, tmp_path / "during"), running.dial() as other:
            listed = await other.ask("/qvd/list_of_vm")
            assert f'"id": {running.vm_id}' in listed.body.decode()
            assert (await other.ask("/qvd/ping")).status == 200
        assert await rest.status("/readyz") == 503
        assert await rest.status("/healthz") == 200
    finally:
        for pid in frozen:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
    await until(lambda: ready(rest), limit_s=60, what="the node to be ready again")
    async with viewing(stopped, screen, tmp_path / "after"):
        await until_vm(rest, stopped.vm_id, state="running")


async def test_an_administrator_stops_what_runs_while_the_database_is_stopped(
    node: NodeProcess, make: MakeDesk, rest: Rest
) -> None:
    desk, other = await make(), await make()
    for one in (desk, other):
        await rest.post(f"/vms/{one.vm_id}/start?wait=true")
    frozen = server_processes(node)
    for pid in frozen:
        os.kill(pid, signal.SIGSTOP)
    try:
        found = (await rest.get(f"/vms?name={desk.login}"))["items"]
        assert [vm["id"] for vm in found] == [desk.vm_id]
        stopped = await rest.post(f"/vms/{desk.vm_id}/stop?wait=true")
        assert stopped["state"] == "stopped"
        assert f"/vms/{desk.vm_id}/" not in str(traces(node))
        assert f"/vms/{other.vm_id}/" in str(traces(node))
    finally:
        for pid in frozen:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
    await until(lambda: ready(rest), limit_s=60, what="the node to be ready again")
    await until(lambda: noted(rest, desk.vm_id), limit_s=30, what="the trail to have the stop")


async def noted(rest: Rest, vm_id: int) -> bool:
    """Whether the audit trail says that the VM was stopped."""
    items = (await rest.get(f"/audit?object_kind=vm&object_id={vm_id}"))["items"]
    return "vm.stop" in {item["action"] for item in items}


async def test_a_killed_database_is_started_again_and_nothing_is_lost(
    node: NodeProcess, make: MakeDesk, rest: Rest, screen: Screen, tmp_path: Path
) -> None:
    desk = await make()
    async with viewing(desk, screen, tmp_path) as (_, viewer):
        killed = kill_database(node)
        await until(lambda: back(node, rest, killed), limit_s=90, what="the database to be back")
        assert not viewer.over.is_set()
        view = await until_vm(rest, desk.vm_id, state="running", display="connected")
        assert view["generation"] == 1


@pytest.mark.parametrize("moment", ["before the VM is taken", "while the VM starts"])
async def test_a_database_restarted_in_the_middle_of_a_connect_does_not_start_a_vm_twice(
    node: NodeProcess, make: MakeDesk, rest: Rest, moment: str
) -> None:
    desk = await make()
    async with desk.dial() as connection:
        assert (await connection.ask("/qvd/list_of_vm")).status == 200
        if moment == "while the VM starts":
            connecting = asyncio.create_task(connection.connect(desk.vm_id))
            await until(lambda: f"/vms/{desk.vm_id}/" in str(traces(node)), what="its first mount")
            killed = kill_database(node)
        else:
            killed = kill_database(node)
            connecting = asyncio.create_task(connection.connect(desk.vm_id))
        answer = await connecting
        assert answer.status in {101, 503}
        assert answer.status == 101 or b"database" in answer.body.lower()
    await until(lambda: back(node, rest, killed), limit_s=90, what="the database to be back")
    async with desk.dial() as connection:
        again = await connection.connect(desk.vm_id)
        assert again.status == 101, again
        view = await until_vm(rest, desk.vm_id, state="running")
        assert view["generation"] <= 2
        mounts = [trace for trace in traces(node) if f"/vms/{desk.vm_id}/" in trace]
        assert {trace.split("/vms/")[1].split("/")[1] for trace in mounts} == {
            str(view["generation"])
        }


def kill_database(node: NodeProcess) -> int:
    """Kill the server as a crash would; which process it was."""
    pid = postmaster(node)
    os.kill(pid, signal.SIGKILL)
    return pid


async def back(node: NodeProcess, rest: Rest, killed: int) -> bool:
    """Whether another server answers, through the node."""
    if postmaster(node) in {0, killed}:
        return False
    try:
        await rest.get("/tenants")
    except Refused:
        return False
    return await ready(rest)


async def ready(rest: Rest) -> bool:
    """Whether the node can start desktops."""
    return await rest.status("/readyz") == 200
