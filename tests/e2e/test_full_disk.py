"""One user writes until the disk is full: nobody else loses anything, and the node goes on."""

import asyncio
import os
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import pytest_asyncio

from qvdnode.host import mounts
from tests.e2e.conftest import Screen
from tests.e2e.guest_processes import in_guest
from tests.e2e.test_desktop import viewing
from tests.harness.farm import Desk, import_image, make_desk, make_flavour, until_vm
from tests.harness.node import NodeProcess, new_node
from tests.harness.node import test_root as state_root
from tests.harness.rest import Refused, Rest
from tests.waiting import until

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.mounts]

SIZE_MIB = 2_100
IMAGE = {"free_floor_mib": 768, "free_alarm_mib": 1_024, "disk_overcommit": 4.0}
"""The floor is more than a fast disk takes between two checks (660 MiB in a second were seen).
Promised more often than there is space, as a farm does that trusts its users."""
FILL = "dd if=/dev/zero of=big bs=1M >/dev/null 2>&1 &"
CAREFUL = """cd ~ && mkdir work && for i in 1 2 3 4 5 6 7 8; do
    dd if=/dev/urandom of=work/$i bs=64k count=4 conv=fsync 2>/dev/null || echo $i >>failed
done
nohup sh -c 'while [ ! -e enough ]; do for i in 1 2 3 4 5 6 7 8; do
    dd if=/dev/urandom of=work/$i bs=64k count=4 conv=notrunc,fsync 2>/dev/null ||
        echo $i >>failed
done; echo >>rounds; done' >/dev/null 2>&1 &"""


@contextmanager
def file_system(point: Path) -> Iterator[None]:
    """A small ext4 of the test's own, mounted there."""
    backing = point.with_suffix(".ext4")
    with backing.open("xb") as file:
        os.truncate(file.fileno(), SIZE_MIB << 20)
    try:
        run("mkfs.ext4", "-q", "-m", "0", "-b", "4096", backing)
        run("mount", "-o", "loop,discard", backing, point)
        try:
            point.chmod(0o755)
            yield
        finally:
            mounts.unmount(point)
    finally:
        backing.unlink()


def run(*argv: str | Path) -> None:
    """A program of the host, to its end."""
    subprocess.run(argv, check=True, capture_output=True, timeout=60)


@pytest_asyncio.fixture(loop_scope="session")
async def small_disk(icewm_root: Path) -> AsyncIterator[NodeProcess]:
    """A node whose state folder, database included, is on a small file system of its own."""
    node = new_node(state_root(), image=dict(IMAGE))
    with file_system(node.state_dir):
        try:
            await node.start()
            async with node.rest() as rest:
                await import_image(rest, "icewm", icewm_root)
            yield node
        finally:
            await node.remove()
    node.state_dir.rmdir()


async def test_a_user_who_fills_the_disk_is_ended_and_nobody_else_loses_anything(
    small_disk: NodeProcess, screen: Screen, tmp_path: Path
) -> None:
    node = small_disk
    async with node.rest() as rest:
        large = await make_flavour(rest, "large", "icewm", disk_mib=900, home_mib=900)
        small = await make_flavour(rest, "small", "icewm", disk_mib=256)
        culprit = await make_desk(node, rest, "culprit", large)
        victim = await make_desk(node, rest, "victim", small)
        await rest.post(f"/vms/{victim.vm_id}/start?wait=true")
        in_guest(victim, CAREFUL)
        async with viewing(culprit, screen, tmp_path) as (_, viewer):
            in_guest(culprit, f"cd ~ && {FILL}")
            in_guest(culprit, f"cd /var/tmp && {FILL}")
            await asyncio.wait_for(viewer.over.wait(), 60)
        await rest.post(f"/vms/{culprit.vm_id}/stop?wait=true")
        await until(lambda: answers(rest), limit_s=30, what="the database")
        view = await until_vm(rest, culprit.vm_id, state="failed")
        assert "filling the node's disk" in view["error"]
        event = node.events("desktop_filled_disk")[0]
        assert event["vm"] == culprit.vm_id
        assert "kept free" in event["because"]
        assert {event["vm"] for event in node.events("desktop_filled_disk")} == {culprit.vm_id}
        await unharmed(victim)
        sessions = (await rest.get(f"/sessions?vm_id={culprit.vm_id}"))["items"]
        assert [session["reason"] for session in sessions] == [
            "the desktop was filling the node's disk"
        ]
        await rest.post(f"/vms/{victim.vm_id}/stop?wait=true")


async def unharmed(victim: Desk) -> None:
    """No write of the user's failed, and the file system of the home has seen no error."""
    before = len(in_guest(victim, "cat ~/rounds").splitlines())
    await until(
        lambda: len(in_guest(victim, "cat ~/rounds").splitlines()) > before + 1,
        limit_s=30,
        what="the victim to go on writing",
    )
    in_guest(victim, "touch ~/enough")
    assert "failed" not in in_guest(victim, "ls ~").split()
    home = victim.node.state_dir / "homes" / str(victim.user_id)
    (mount,) = [mount for mount in mounts.listed() if mount.point == home]
    assert not os.statvfs(home).f_flag & os.ST_RDONLY
    errors = Path("/sys/fs/ext4") / Path(mount.source).name / "errors_count"
    assert errors.read_text().strip() == "0"


async def answers(rest: Rest) -> bool:
    """Whether the database does, through the node."""
    try:
        await rest.get("/tenants")
    except Refused:
        return False
    return True
