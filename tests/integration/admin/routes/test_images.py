from qvdnode.model.ids import ImageId
from tests.fakes.importer import FakeImporter
from tests.integration.admin.checked_api import CheckedApi
from tests.integration.admin.sample_farm import SampleFarm


async def test_an_image_is_shown_with_its_versions(api: CheckedApi) -> None:
    await api.import_image("icewm", note="first")
    await api.import_image("icewm", note="second")
    image = await api.get("/images/icewm")
    versions = (await api.get("/images/icewm/versions"))["items"]
    assert image["head_version"] == 2
    assert image["size_bytes"] == versions[1]["size_bytes"]
    assert [(item["version"], item["note"]) for item in versions] == [(1, "first"), (2, "second")]
    assert [item["name"] for item in (await api.get("/images"))["items"]] == ["icewm"]


async def test_an_older_version_can_be_the_one_that_starts(api: CheckedApi) -> None:
    await api.import_image("icewm")
    await api.import_image("icewm")
    back = await api.call("PUT", "/images/icewm/head", {"version": 1}, status=200)
    assert back["head_version"] == 1
    await api.call("PUT", "/images/icewm/head", {"version": 9}, status=404)


async def test_an_image_in_use_stays(
    api: CheckedApi, farm: SampleFarm, importer: FakeImporter
) -> None:
    await api.call("DELETE", "/images/icewm", status=409)
    assert importer.marked == set()
    await api.call("DELETE", f"/vms/{farm.vm_id}", status=204)
    await api.call("DELETE", f"/flavours/{farm.flavour_id}", status=204)
    await api.call("DELETE", "/images/icewm", status=204)
    await api.get("/images/icewm", 404)


async def test_an_image_that_a_guest_runs_on_stays_though_no_flavour_names_it(
    api: CheckedApi, importer: FakeImporter
) -> None:
    await api.import_image("old")
    image = ImageId((await api.get("/images/old"))["id"])
    importer.used.add(image)
    refused = await api.call("DELETE", "/images/old", status=409)
    assert "still runs" in refused["detail"]
    await api.get("/images/old")
    importer.used.clear()
    await api.call("DELETE", "/images/old", status=204)
    assert importer.placed == {}


async def test_an_unknown_or_odd_name_is_not_found(api: CheckedApi) -> None:
    for name in ("gone", "UPPER", "..", "%2e%2e%2fetc", "a" * 65, "-x"):
        await api.get(f"/images/{name}/versions", 404)
        await api.call("DELETE", f"/images/{name}", status=404)
