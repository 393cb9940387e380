"""Rollouts over REST."""

import pytest

from qvdnode.db.pool import Database
from tests.integration.admin.checked_api import CheckedApi
from tests.integration.admin.sample_farm import SampleFarm

pytestmark = pytest.mark.postgres

STAGES = [{"selector": "tag:pilot", "soak_s": 60}, {"selector": "100%", "soak_s": 0}]


async def test_a_rollout_is_begun_watched_paused_and_given_up(
    api: CheckedApi, farm: SampleFarm
) -> None:
    await api.get("/images/icewm/rollout", status=404)
    await api.import_image("icewm")
    await api.call("PUT", "/images/icewm/head", {"version": 1}, status=200)
    begun = await api.post("/images/icewm/rollout", {"version": 2, "stages": STAGES})
    assert (begun["state"], begun["from_version"], begun["covered"]) == ("running", 1, 0)
    await api.post("/images/icewm/rollout", {"version": 2, "stages": STAGES}, status=409)
    tagged = await api.call("PUT", f"/vms/{farm.vm_id}/tags", {"tags": ["pilot"]}, status=200)
    assert tagged["tags"] == (await api.get(f"/vms/{farm.vm_id}/tags"))["tags"] == ["pilot"]
    shown = await api.get("/images/icewm/rollout")
    assert (shown["desktops"], shown["covered"], shown["waits_for"][-9:]) == (1, 1, "as soaked")
    [place] = shown["places"]
    assert (place["version"], place["next_version"]) == (None, 2)
    assert [stage["state"] for stage in shown["stages"]] == ["now", "waiting"]
    path = "/images/icewm/rollout"
    assert (await api.post(f"{path}/pause", {"reason": "exams"}, 200))["reason"] == "exams"
    assert (await api.post(f"{path}/resume", {}, 200))["reason"] == "tests asked for it"
    # An import during a rollout is not a new head.
    await api.import_image("icewm")
    assert (await api.get("/images/icewm"))["head_version"] == 1
    assert (await api.post(f"{path}/abort", {}, 200))["state"] == "aborted"
    await api.post(f"{path}/resume", {}, status=409)
    assert (await api.get(path))["places"][0]["next_version"] == 1
    await api.import_image("icewm")
    assert (await api.get("/images/icewm"))["head_version"] == 4


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"version": 9}, 409),
        ({"stages": [{"selector": "5%"}]}, 422),
        ({"stages": [{"selector": "all"}, {"selector": "100%"}]}, 422),
        ({"stages": []}, 422),
        ({"failures_max_pct": 101}, 422),
    ],
)
async def test_a_rollout_that_makes_no_sense_is_refused(
    api: CheckedApi, farm: SampleFarm, changes: dict[str, object], status: int
) -> None:
    await api.import_image("icewm")
    await api.call("PUT", "/images/icewm/head", {"version": 1}, status=200)
    body = {"version": 2, "stages": STAGES, **changes}
    await api.post("/images/icewm/rollout", body, status=status)
    await api.get("/images/icewm/rollout", status=404)


async def test_a_head_that_is_set_during_a_rollout_is_refused(
    api: CheckedApi, farm: SampleFarm, database: Database
) -> None:
    await api.import_image("icewm")
    await api.call("PUT", "/images/icewm/head", {"version": 1}, status=200)
    await api.post("/images/icewm/rollout", {"version": 2, "stages": STAGES})
    told = await api.call("PUT", "/images/icewm/head", {"version": 2}, status=409)
    assert "abort it first" in told["detail"]
    await database.execute("UPDATE image_rollout SET state = 'rolled_back'")
    await api.call("PUT", "/images/icewm/head", {"version": 2}, status=200)
