"""A user moves files between the home of a desktop and the browser, by REST."""

import os
from pathlib import Path
from urllib.parse import urlencode

import pytest

from qvdnode.admin.parts import AdminParts
from qvdnode.model.ids import VmId
from qvdnode.model.vm_state import VmState
from tests.fakes.fleet import FakeFleet
from tests.integration.admin.browser import Browser, browser
from tests.integration.admin.checked_api import CheckedApi, Said
from tests.integration.admin.sample_farm import SampleFarm

PASSWORD = "Ñandú 12"
KEY = "0123456789abcdef" * 2
CONTENT = bytes(range(32, 127)) * 20


class Desk:
    """Alice's browser and her desktop."""

    def __init__(self, browser: Browser, vm_id: int) -> None:
        self.browser = browser
        self.path = f"/my/desktops/{vm_id}"

    async def call(
        self, method: str, what: str, body: object = None, *, status: int, **query: object
    ) -> Said:
        wanted = urlencode({name: str(value) for name, value in query.items()})
        return await self.browser.call(method, f"{self.path}/{what}?{wanted}", body, status=status)

    async def list(self, status: int = 200) -> Said:
        return await self.call("GET", "files", status=status)

    async def send(self, content: bytes, status: int = 200, **query: object) -> Said:
        wanted = {"name": "a.txt", "size": len(CONTENT), "key": KEY, "offset": 0, **query}
        return await self.call("PUT", "upload", content, status=status, **wanted)

    async def file(self, status: int = 200, path: str = "a.txt", **headers: str) -> Said:
        return await self.browser.call(
            "GET", f"{self.path}/file?path={path}", status=status, **headers
        )


@pytest.fixture
async def desk(
    api: CheckedApi, farm: SampleFarm, fleet: FakeFleet, parts: AdminParts, tmp_path: Path
) -> Desk:
    """Alice is logged in, and her desktop runs with an empty home."""
    await api.call("PUT", f"/users/{farm.user_id}/password", {"password": PASSWORD}, status=204)
    made = browser(api)
    await made.call("POST", "/my/session", {"login": "alice", "password": PASSWORD}, status=200)
    fleet.home = tmp_path / "home"
    fleet.home.mkdir(mode=0o700)
    os.chown(fleet.home, 12345, 12345)
    fleet.put(await parts.vms.order(VmId(farm.vm_id)), VmState.RUNNING)
    return Desk(made, farm.vm_id)


async def policy(api: CheckedApi, farm: SampleFarm, files: str) -> None:
    await api.call("PATCH", f"/flavours/{farm.flavour_id}", {"files": files}, status=200)


async def test_a_file_goes_up_in_parts_and_comes_back(desk: Desk) -> None:
    empty = await desk.list()
    assert (empty["items"], empty["may_upload"], empty["may_download"]) == ([], True, True)
    assert empty["free_bytes"] > 0
    assert (await desk.send(b""))["received_bytes"] == 0
    assert (await desk.send(CONTENT[:900]))["received_bytes"] == 900
    assert (await desk.send(b""))["received_bytes"] == 900
    assert (await desk.send(CONTENT[900:], offset=900))["done"] is True
    assert [item["name"] for item in (await desk.list())["items"]] == ["a.txt"]
    said = await desk.file()
    assert said.body.encode() == CONTENT
    assert said.headers["Content-Disposition"].startswith("attachment;")
    assert said.headers["X-Content-Type-Options"] == "nosniff"
    part = await desk.file(206, Range="bytes=10-19", If_Range=said.headers["Etag"])
    assert part.body.encode() == CONTENT[10:20]
    assert part.headers["Content-Range"] == f"bytes 10-19/{len(CONTENT)}"
    assert (await desk.file(200, Range="bytes=10-19", If_Range='"other"')).body.encode() == CONTENT
    await desk.send(b"", status=409)
    await desk.send(CONTENT, replace=True)


async def test_an_upload_is_cancelled(desk: Desk, fleet: FakeFleet) -> None:
    await desk.send(CONTENT[:5])
    await desk.call("DELETE", "upload", status=204, name="a.txt", size=len(CONTENT), key=KEY)
    assert fleet.home is not None
    assert list(fleet.home.iterdir()) == []


@pytest.mark.parametrize(
    "query",
    [
        {"name": "../x"},
        {"name": ""},
        {"folder": "/etc"},
        {"folder": ".."},
        {"key": "../../x"},
        {"size": -1},
        {"name": ".qvd-upload-x"},
    ],
)
async def test_hostile_uploads_are_refused(desk: Desk, query: dict[str, object]) -> None:
    await desk.send(b"x", status=422, **query)


async def test_a_part_that_is_too_long_is_refused(desk: Desk) -> None:
    size = (await desk.list())["part_bytes_max"]
    await desk.send(b"x" * (size + 1), status=413, size=size + 1)
    await desk.send(b"", status=507, size=1 << 50)


async def test_the_flavour_decides_which_way(
    api: CheckedApi, farm: SampleFarm, desk: Desk, fleet: FakeFleet, parts: AdminParts
) -> None:
    await desk.send(CONTENT)
    for files, up, down in (("in", 200, 403), ("out", 403, 200), ("none", 403, 403)):
        await policy(api, farm, files)
        await desk.send(CONTENT, status=up, replace=True)
        await desk.file(down)
    await desk.list(status=403)
    listed = await desk.browser.call("GET", "/my/desktops", status=200)
    assert [item["files"] for item in listed["items"]] == ["none"]


async def test_a_desktop_that_does_not_run_or_is_not_theirs(
    farm: SampleFarm, desk: Desk, fleet: FakeFleet
) -> None:
    await desk.file(404, path="nothing")
    await fleet.stop(VmId(farm.vm_id))
    await desk.list(status=404)
    desk.path = "/my/desktops/999999"
    await desk.list(status=404)
