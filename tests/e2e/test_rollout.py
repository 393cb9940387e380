"""A version that cannot start moves back by itself, after one desktop has met it."""

import pytest

from tests.e2e.conftest import MakeDesk
from tests.harness.farm import until_vm
from tests.harness.rest import Refused, Rest
from tests.integration.image.tiny_root import complete, stream, tar
from tests.waiting import until

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_a_broken_version_moves_back_by_itself(make: MakeDesk, rest: Rest) -> None:
    desk = await make()
    head = (await rest.get("/images/icewm"))["head_version"]
    data = stream(tar(complete()), 1 << 20)
    await rest.call("POST", "/images/icewm/versions", data=data)
    broken = (await rest.get("/images/icewm"))["head_version"]
    await rest.call("PUT", "/images/icewm/head", {"version": head})
    path = "/images/icewm/rollout"
    stages = [{"selector": f"user:{desk.login}@default", "soak_s": 600}, {"selector": "100%"}]
    try:
        await rest.post(path, {"version": broken, "stages": stages})
        with pytest.raises(Refused):
            await rest.post(f"/vms/{desk.vm_id}/start?wait=true")

        async def moved_back() -> bool:
            return bool((await rest.get(path))["state"] == "rolled_back")

        await until(moved_back, limit_s=60, what="the rollout to move back")
        shown = await rest.get(path)
        assert (shown["reason"], shown["failed"]) == ("1 of 1 starts failed", 1)
        await rest.post(f"/vms/{desk.vm_id}/start?wait=true")
        await until_vm(rest, desk.vm_id, state="running")
        [place] = [one for one in (await rest.get(path))["places"] if one["id"] == desk.vm_id]
        assert (place["version"], place["next_version"]) == (head, head)
    finally:
        await rest.post(f"{path}/abort", {})
