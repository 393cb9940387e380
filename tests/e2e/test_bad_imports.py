"""Images that cannot be: each is refused over REST with its reason, and nothing of it stays."""

import json
import os
import tarfile
from typing import Any

import pytest

from tests.harness.farm import PIECE
from tests.harness.node import NodeProcess
from tests.harness.rest import Rest
from tests.integration.image.tiny_root import Piece, complete, stream, tar, without

pytestmark = pytest.mark.asyncio(loop_scope="session")

WINDOWS = [
    Piece("./Windows/System32/ntoskrnl.exe", b"MZ"),
    Piece("./Windows/System32/config/SOFTWARE", b"regf"),
]
BAD = {
    "no tar": (os.urandom(PIECE), "tar"),
    "empty": (b"", ""),
    "truncated": (tar(complete())[:30_000], "cut off"),
    "leads up": (tar(complete(Piece("../../../etc/evil", b"x"))), "leads out"),
    "absolute": (tar(complete(Piece("/etc/evil", b"x"))), "absolute path"),
    "through a link": (
        tar(complete(Piece("out", kind=tarfile.SYMTYPE, link="/etc"), Piece("out/evil", b"x"))),
        "through a link",
    ),
    "device": (tar(complete(Piece("./srv/sda", kind=tarfile.BLKTYPE))), "device"),
    "windows": (tar(WINDOWS), "only linux"),
    "disk image": (b"QFI\xfb" + bytes(PIECE), "only linux"),
    "no session script": (tar(without("usr/lib/qvd/session")), "session"),
}


async def import_lines(rest: Rest, name: str, content: bytes) -> list[dict[str, Any]]:
    """What the import of these bytes answers, line by line."""
    lines = await rest.call("POST", f"/images/{name}/versions", data=stream(content))
    return [json.loads(line) for line in lines]


async def named(rest: Rest, name: str) -> list[dict[str, Any]]:
    """The image of that name with its versions, if there is one."""
    images = (await rest.get("/images"))["items"]
    return [image for image in images if image["name"] == name]


def images_on_disk(node: NodeProcess) -> set[str]:
    """What is in the folder of images, also half made."""
    return {path.name for path in (node.state_dir / "images").iterdir()}


@pytest.mark.parametrize("kind", BAD)
async def test_a_bad_image_is_refused_with_its_reason_and_leaves_nothing(
    node: NodeProcess, rest: Rest, kind: str
) -> None:
    content, words = BAD[kind]
    before = images_on_disk(node)
    name = f"bad-{kind.replace(' ', '-')}"
    (*_, last) = await import_lines(rest, name, content)
    sentence = last["problem"]["detail"].lower()
    assert last["problem"]["code"] == "bad_image", last
    assert words in sentence
    assert images_on_disk(node) == before
    assert await named(rest, name) == []


async def test_a_bad_version_leaves_the_image_it_was_meant_for(rest: Rest) -> None:
    content, _ = BAD["device"]
    before = await named(rest, "icewm")
    (*_, last) = await import_lines(rest, "icewm", content)
    assert "problem" in last
    assert await named(rest, "icewm") == before
