"""A user of a running desktop gets back a file that was damaged."""

import pytest

from tests.e2e.conftest import MakeDesk
from tests.e2e.guest_processes import in_guest
from tests.harness.farm import until_vm
from tests.harness.rest import Rest

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_a_file_comes_back_while_the_desktop_runs(make: MakeDesk, rest: Rest) -> None:
    desk = await make()
    await rest.post(f"/vms/{desk.vm_id}/start?wait=true")
    await until_vm(rest, desk.vm_id, state="running")
    home = f"/users/{desk.user_id}/home"
    in_guest(desk, f"echo first > /home/{desk.login}/thesis; sync")
    await rest.post(f"{home}/snapshots")
    in_guest(desk, f"echo second > /home/{desk.login}/thesis")
    folder = (await rest.post(f"{home}/restore", {"path": "thesis"}))["folder"]
    seen = in_guest(
        desk,
        f"cd /home/{desk.login} && cat {folder}/thesis thesis && stat -c %u {folder}/thesis"
        f" && rm -r {folder}",
    )
    assert seen.split() == ["first", "second", "1000"]
