"""A registry that lies, cuts off or is silent, and a full disk: the store stays whole."""

import asyncio
import json
from pathlib import Path

import pytest

from qvdnode.image.remote import registry_session
from qvdnode.image.store.collection import Plan, collect
from qvdnode.model.errors import BadImage, NodeFull, Unavailable
from tests.fakes.registry import FakeRegistry
from tests.integration.image.remote.meeting import MAIN, Side, same, tree
from tests.integration.image.store.made import NOW, findings, odd_tree
from tests.waiting import until


async def lie(fake: FakeRegistry, how: str) -> None:
    """Have a registry do what none should."""
    name = "qvd/office"
    tag = next(tag for tag in fake.tags(name) if tag.startswith("commit-"))
    match how:
        case "flip":
            fake.flip = True
        case "lacks":
            largest = max(fake.blobs, key=lambda digest: len(fake.blobs[digest]))
            del fake.blobs[largest]
        case "image":
            document = json.loads(fake.documents[name, tag])
            document["config"]["mediaType"] = "application/vnd.oci.image.config.v1+json"
            fake.documents[name, "branch-main"] = json.dumps(document).encode()
        case "garbage":
            fake.documents[name, "branch-main"] = b"\xff" * 100
        case "gone":
            del fake.documents[name, tag]
        case "cut":
            fake.cut_after = [5] * 100
        case "elsewhere":
            fake.redirect = "ftp://elsewhere.example/blob"
        case _:
            fake.silent = True


LIES = {
    "flip": (BadImage, "another content"),
    "lacks": (BadImage, "lacks a part"),
    "image": (BadImage, "no commit of an image"),
    "garbage": (BadImage, "no JSON"),
    "gone": (BadImage, "lacks the commit"),
    "cut": (Unavailable, "broke off"),
    "elsewhere": (BadImage, "not encrypted"),
    "silent": (Unavailable, "too long"),
}


@pytest.mark.parametrize("how", LIES)
async def test_a_registry_that_lies_cuts_off_or_is_silent_leaves_the_store_whole(
    two: tuple[Side, Side],
    fake: FakeRegistry,
    tmp_path: Path,
    how: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    here, there = two
    here.commit(tree(tmp_path / "root"))
    await here.push()
    kept = there.commit(odd_tree(tmp_path / "odd"))
    await lie(fake, how)
    if how == "silent":
        monkeypatch.setattr(registry_session, "SILENCE_LIMIT_S", 0.5)
    kind, words = LIES[how]
    with pytest.raises(kind, match=words):
        await there.pull(force=True)
    assert there.branches.get(MAIN) == kept
    assert findings(there.store) == []


async def test_a_full_disk_is_known_before_anything_large_comes(
    two: tuple[Side, Side], fake: FakeRegistry, tmp_path: Path
) -> None:
    here, there = two
    here.commit(tree(tmp_path / "root"))
    await here.push()
    there.room = 1_000_000
    with pytest.raises(NodeFull, match="MiB more"):
        await there.pull()
    assert fake.sent_bytes < 100_000


async def test_a_cancelled_pull_leaves_nothing_named(
    two: tuple[Side, Side], fake: FakeRegistry, tmp_path: Path
) -> None:
    here, there = two
    name = here.commit(tree(tmp_path / "root"))
    await here.push()
    fake.silent = True
    task = asyncio.get_running_loop().create_task(there.pull())
    before = len(fake.asked)

    async def asked() -> bool:
        return len(fake.asked) > before

    await until(asked)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    fake.silent = False
    collect(there.store, Plan(roots=set, now=NOW))
    await there.pull()
    same(here, there, name)
