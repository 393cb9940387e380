"""Commits go to a registry or a folder and come from there, whole, as deltas, and interrupted."""

import hashlib
import json
from pathlib import Path

import pytest

from qvdnode.image.core import artifact
from qvdnode.image.core.refs import Ref
from qvdnode.image.remote import registry
from qvdnode.image.remote.remotes import Remote
from qvdnode.model.errors import BadImage, Conflict, Forbidden, NotFound, Unavailable
from tests.fakes.registry import FakeRegistry, served
from tests.harness.authority import Authority
from tests.integration.image.remote.meeting import MAIN, Side, same, sides, tree, upgrade
from tests.integration.image.store.made import findings, odd_tree


async def test_a_commit_with_everything_a_tree_can_have_goes_over_a_registry(
    two: tuple[Side, Side], tmp_path: Path
) -> None:
    here, there = two
    name = here.commit(odd_tree(tmp_path / "odd"))
    pushed = await here.push()
    assert (pushed.commit, pushed.before, pushed.commits) == (name, None, 1)
    arrived = await there.pull()
    assert (arrived.ref, arrived.old, arrived.pulled.commits) == ("office", None, 1)
    assert there.branches.get(MAIN) == name
    same(here, there, name)
    assert here.told[-1][0] > 0
    assert there.told[-1][0] == there.told[-1][1] == arrived.pulled.received_bytes


async def test_a_folder_is_a_remote_and_an_oci_layout(tmp_path: Path) -> None:
    here, there = sides(tmp_path, Remote("share", f"oci:{tmp_path}/share"))
    name = here.commit(odd_tree(tmp_path / "odd"))
    await here.push()
    await there.pull()
    same(here, there, name)
    layout = tmp_path / "share/office"
    index = json.loads((layout / "index.json").read_bytes())
    tags = {one["annotations"]["org.opencontainers.image.ref.name"] for one in index["manifests"]}
    assert tags == {artifact.commit_tag(name), "branch-main"}
    for blob in (layout / "blobs/sha256").iterdir():
        assert hashlib.sha256(blob.read_bytes()).hexdigest() == blob.name


async def test_what_changed_comes_as_a_delta(
    two: tuple[Side, Side], fake: FakeRegistry, tmp_path: Path
) -> None:
    here, there = two
    root = tree(tmp_path / "root")
    first = here.commit(root)
    await here.push()
    whole = (await there.pull()).pulled
    assert (whole.deltas, whole.received_bytes > 1_800_000) == (0, True)
    upgrade(root)
    second = here.commit(root, first)
    upgrade(root)
    (root / "etc").write_bytes(b"third" * 50)
    third = here.commit(root, second)
    assert (await here.push()).commits == 2
    before = fake.sent_bytes
    arrived = await there.pull()
    assert (arrived.old, arrived.pulled.commit) == (first, third)
    assert (arrived.pulled.commits, arrived.pulled.deltas) == (2, 2)
    assert fake.sent_bytes - before < 20_000
    same(here, there, third)
    same(here, there, second)


async def test_packs_of_earlier_commits_are_used_again(
    two: tuple[Side, Side], fake: FakeRegistry, tmp_path: Path
) -> None:
    here, there = two
    root = tree(tmp_path / "root")
    first = here.commit(root)
    await here.push()
    taken = fake.taken_bytes
    (root / "new").write_bytes(b"new" * 100)
    second = here.commit(root, first)
    await here.push()
    assert fake.taken_bytes - taken < 20_000
    name = "qvd/office"
    packs = artifact.read_commit(fake.documents[name, artifact.commit_tag(second)]).packs
    assert len(packs) == 2
    assert (await there.pull()).pulled.deltas == 0
    same(here, there, second)


async def test_a_damaged_base_makes_whole_objects_come(
    two: tuple[Side, Side], tmp_path: Path
) -> None:
    here, there = two
    root = tree(tmp_path / "root")
    first = here.commit(root)
    await here.push()
    await there.pull()
    upgrade(root)
    second = here.commit(root, first)
    await here.push()
    for path in there.store.places.objects.glob("*/*"):
        path.chmod(0o600)
        path.write_bytes(bytes(path.stat().st_size))
    await there.pull()
    assert there.store.tree(second) == here.store.tree(second)
    damaged = {finding.name for finding in findings(there.store)}
    wanted = {node.payload.decode() for node in here.store.tree(second).values() if node.size}
    assert damaged
    assert not damaged & (wanted - {n.payload.decode() for n in here.store.tree(first).values()})


async def test_branches_only_go_forward_unless_forced(
    two: tuple[Side, Side], tmp_path: Path
) -> None:
    here, there = two
    root = tree(tmp_path / "root")
    first = here.commit(root)
    await here.push()
    await there.pull()
    (root / "etc").write_bytes(b"theirs" * 50)
    theirs = there.commit(root, first)
    (root / "etc").write_bytes(b"ours" * 50)
    ours = here.commit(root, first)
    await here.push()
    with pytest.raises(Conflict, match="does not come after"):
        await there.push()
    with pytest.raises(Conflict, match="does not come after it"):
        await there.pull()
    assert there.branches.get(MAIN) == theirs
    (fetched,) = await there.fetch()
    assert fetched.ref == "office/origin.main"
    assert there.branches.get(Ref("office", "origin.main")) == ours
    assert (await there.pull(force=True)).old == theirs
    assert there.branches.get(MAIN) == ours
    there.branches.move(MAIN, old=ours, new=theirs, who="ben", why="back")
    assert (await there.push(force=True)).before == ours
    assert (await here.pull(force=True)).pulled.commit == theirs


async def test_what_is_there_already_moves_nothing(
    two: tuple[Side, Side], fake: FakeRegistry, tmp_path: Path
) -> None:
    here, there = two
    root = tree(tmp_path / "root")
    first = here.commit(root)
    await here.push()
    taken = fake.taken_bytes
    assert (await here.push()).commits == 0
    assert fake.taken_bytes == taken
    await there.pull()
    (root / "etc").write_bytes(b"more" * 50)
    later = there.commit(root, first)
    assert (await there.pull()).pulled.commit == later  # the remote is behind


async def test_tags_never_move(two: tuple[Side, Side], tmp_path: Path) -> None:
    here, there = two
    root = tree(tmp_path / "root")
    first = here.commit(root)
    good = Ref("office", "good", tag=True)
    here.branches.move(good, old=None, new=first, who="ana", why="test")
    await here.push(good)
    await here.push(good)
    (fetched,) = await there.fetch(good)
    assert fetched.ref == "office:origin.good"
    (root / "etc").write_bytes(b"other" * 50)
    second = there.commit(root, first)
    there.branches.move(good, old=None, new=second, who="ben", why="test")
    with pytest.raises(Conflict, match="tags never move"):
        await there.push(good, force=True)


async def test_an_interrupted_pull_goes_on_where_it_was(
    two: tuple[Side, Side], fake: FakeRegistry, tmp_path: Path
) -> None:
    here, there = two
    name = here.commit(tree(tmp_path / "root"))
    await here.push()
    size = max(map(len, fake.blobs.values()))
    # Small documents come first: commit, list, manifest.
    fake.cut_after = [10**9] * 3 + [600_000, 300_000]
    await there.pull()
    # What had come but was not read when the connection broke may be lost.
    starts = [int(one.removeprefix("bytes=").rstrip("-")) for one in fake.ranges]
    assert starts == sorted(starts)
    assert starts[-1] > 0
    assert fake.sent_bytes < size + 900_000
    same(here, there, name)


async def test_a_pull_after_a_crash_goes_on_where_it_was(
    two: tuple[Side, Side], fake: FakeRegistry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, there = two
    name = here.commit(tree(tmp_path / "root"))
    await here.push()
    monkeypatch.setattr(registry, "ATTEMPTS", 1)
    fake.cut_after = [10**9] * 3 + [600_000, 0]
    with pytest.raises(Unavailable, match="broke off"):
        await there.pull()
    assert there.branches.get(MAIN) is None
    assert findings(there.store) == []
    before = fake.sent_bytes
    await there.pull()
    assert fake.sent_bytes - before < 1_700_000
    same(here, there, name)


async def test_a_registry_that_ignores_ranges_sends_all_of_it_again(
    two: tuple[Side, Side], fake: FakeRegistry, tmp_path: Path
) -> None:
    here, there = two
    name = here.commit(tree(tmp_path / "root"))
    await here.push()
    fake.ignore_ranges = True
    fake.cut_after = [10**9] * 3 + [600_000]
    arrived = await there.pull()
    same(here, there, name)
    assert arrived.pulled.received_bytes < 1_900_000


async def test_an_interrupted_push_goes_on_where_it_was(
    two: tuple[Side, Side], fake: FakeRegistry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, there = two
    monkeypatch.setattr(registry, "UPLOAD_STEP", 400_000)
    name = here.commit(tree(tmp_path / "root"))
    fake.fail_uploads = 2
    before = set(here.store.places.tmp.iterdir())
    await here.push()
    assert set(here.store.places.tmp.iterdir()) == before
    await there.pull()
    same(here, there, name)


@pytest.mark.parametrize("token", [False, True])
async def test_a_login_is_given_and_asked_for(tmp_path: Path, token: bool) -> None:
    fake = FakeRegistry("ana", "secret", token)
    async with served(fake) as host:
        url = f"docker://{host}/qvd"
        here, there = sides(tmp_path, Remote("origin", url, "ana", "secret", plain_http=True))
        name = here.commit(tree(tmp_path / "root"))
        await here.push()
        await there.pull()
        same(here, there, name)
        for user, password in (("", ""), ("ana", "wrong")):
            there.remote = Remote("origin", url, user, password, plain_http=True)
            with pytest.raises(Forbidden):
                await there.pull()


async def test_a_registry_whose_certificate_is_not_trusted_is_left(
    tmp_path: Path,
) -> None:
    authority = Authority()
    context = authority.issue(["127.0.0.1"]).context(tmp_path)
    async with served(FakeRegistry(), context) as host:
        url = f"docker://{host}/qvd"
        here, there = sides(tmp_path, Remote("origin", url))
        name = here.commit(tree(tmp_path / "root"))
        with pytest.raises(Unavailable, match="is not trusted"):
            await here.push()
        for side in (here, there):
            side.remote = Remote("origin", url, ca_file=str(authority.write(tmp_path)))
        await here.push()
        await there.pull()
        same(here, there, name)


async def test_a_remote_that_has_not_the_image_says_so(two: tuple[Side, Side]) -> None:
    _, there = two
    with pytest.raises(NotFound, match="no branch main"):
        await there.pull()
    with pytest.raises(NotFound, match="no branch of this image"):
        await there.fetch()
    with pytest.raises(NotFound, match="in this store"):
        await there.push()


async def test_all_pages_of_a_long_list_of_tags_are_read(
    two: tuple[Side, Side], fake: FakeRegistry, tmp_path: Path
) -> None:
    here, there = two
    name = here.commit(tree(tmp_path / "root"))
    await here.push()
    for number in range(5):
        ref = Ref("office", f"b{number}")
        here.branches.move(ref, old=None, new=name, who="ana", why="test")
        await here.push(ref)
    fake.page = 2
    assert len(await there.fetch()) == 6


async def test_an_object_that_is_damaged_here_is_not_sent(
    two: tuple[Side, Side], fake: FakeRegistry, tmp_path: Path
) -> None:
    here, _ = two
    here.commit(tree(tmp_path / "root"))
    broken = next(here.store.places.objects.glob("*/*"))
    broken.chmod(0o600)
    broken.write_bytes(bytes(broken.stat().st_size))
    with pytest.raises(BadImage, match="is damaged and is not sent"):
        await here.push()
    assert fake.tags("qvd/office") == []
