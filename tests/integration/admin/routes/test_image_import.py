import asyncio
import json
from collections.abc import AsyncIterator

from qvdnode.admin.routes.image_import import PROGRESS_STEP_BYTES
from tests.fakes.importer import BROKEN, FakeImporter
from tests.integration.admin.checked_api import TAR, CheckedApi
from tests.waiting import until


async def test_a_first_import_makes_the_image(api: CheckedApi, importer: FakeImporter) -> None:
    lines = await api.import_image("icewm", note="from the lab")
    assert lines[-1]["version"]["version"] == 1
    assert lines[-1]["version"]["note"] == "from the lab"
    assert lines[-1]["version"]["size_bytes"] == len(TAR)
    assert list(importer.placed.values()) == [len(TAR)]
    assert importer.staged == set()


async def test_progress_is_told_while_bytes_come_in(api: CheckedApi) -> None:
    tar = b"x" * (PROGRESS_STEP_BYTES * 2 + 1)
    lines = await api.import_image("icewm", tar)
    told = [line["progress"] for line in lines[:-1]]
    assert told == sorted(told)
    assert 1 <= len(told) <= 2
    assert told[0] >= PROGRESS_STEP_BYTES


async def test_a_broken_image_is_refused_and_nothing_of_it_stays(
    api: CheckedApi, importer: FakeImporter
) -> None:
    lines = await api.import_image("icewm", BROKEN)
    assert lines[-1]["problem"]["code"] == "bad_image"
    await api.get("/images/icewm", 404)
    assert (importer.placed, importer.staged) == ({}, set())


async def test_a_broken_version_leaves_the_ones_before(api: CheckedApi) -> None:
    await api.import_image("icewm")
    await api.import_image("icewm", BROKEN)
    assert (await api.get("/images/icewm"))["head_version"] == 1


async def test_a_version_that_only_the_disk_remembers_is_in_nobodys_way(
    api: CheckedApi, importer: FakeImporter
) -> None:
    """As after the restore of a backup that is older than the version."""
    await api.import_image("icewm")
    image = (await api.get("/images/icewm"))["id"]
    importer.placed[image, 2] = 1
    lines = await api.import_image("icewm")
    assert lines[-1]["version"]["version"] == 3
    assert importer.placed[image, 2] == 1


async def test_what_is_no_tar_by_its_type_is_refused_before_it_is_sent(api: CheckedApi) -> None:
    path = "/images/icewm/versions"
    assert (await api.call("POST", path, {"a": 1}, status=415))["code"] == "unsupported_media"


async def test_a_sender_that_vanishes_leaves_nothing(
    api: CheckedApi, importer: FakeImporter
) -> None:
    begun = asyncio.Event()

    async def half() -> AsyncIterator[bytes]:
        yield TAR
        begun.set()
        await asyncio.Event().wait()

    upload = asyncio.ensure_future(
        api.client.post(
            "/api/v1/images/icewm/versions",
            data=half(),
            headers={
                "Authorization": f"Bearer {api.token}",
                "Content-Type": "application/x-tar",
            },
        )
    )
    await begun.wait()
    answer = await upload
    answer.close()

    async def gone() -> bool:
        return not (await api.get("/images"))["items"]

    await until(gone, what="the half image to be forgotten")
    assert (importer.placed, importer.staged) == ({}, set())


async def test_the_last_line_counts_also_for_the_reader_of_lines(api: CheckedApi) -> None:
    said = await api.call(
        "POST",
        "/images/icewm/versions",
        status=200,
        data=BROKEN,
        headers={"Content-Type": "application/octet-stream"},
    )
    assert set(json.loads(said.body.splitlines()[-1])) == {"problem"}
