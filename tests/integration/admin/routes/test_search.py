"""Search over everything."""

from tests.integration.admin.checked_api import CheckedApi
from tests.integration.admin.sample_farm import SampleFarm


async def test_things_of_all_kinds_are_found(api: CheckedApi, farm: SampleFarm) -> None:
    await api.post("/tenants", {"name": "alpha"})
    said = (await api.get("/search", q="AL")).body
    assert said["users"] == [{"id": farm.user_id, "name": "alice", "detail": "default"}]
    assert [item["detail"] for item in said["vms"]] == ["alice"]
    assert [item["name"] for item in said["tenants"]] == ["alpha"]
    assert (said["nodes"], said["images"], said["flavours"]) == ([], [], [])
    assert [item["name"] for item in (await api.get("/search", q="icewm"))["images"]] == ["icewm"]
    assert [item["detail"] for item in (await api.get("/search", q="off"))["flavours"]] == [
        "default"
    ]


async def test_ten_of_a_kind_are_enough(api: CheckedApi) -> None:
    for number in range(12):
        await api.post("/tenants", {"name": f"t{number:02}"})
    found = (await api.get("/search", q="t"))["tenants"]
    assert [item["name"] for item in found] == [f"t{number:02}" for number in range(10)]


async def test_something_must_be_looked_for(api: CheckedApi) -> None:
    await api.get("/search", 422)
    await api.get("/search", 422, q="")
