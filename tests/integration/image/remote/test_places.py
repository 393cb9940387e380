"""Push, fetch and pull, with a folder and with Debian's docker-registry."""

import random
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from qvdnode.image.core.refs import Ref
from qvdnode.image.remote.exchange import opened
from qvdnode.image.remote.ports import Place
from qvdnode.image.remote.remotes import Remote
from qvdnode.model.errors import Conflict, NodeFull, NotFound
from qvdnode.runtime.clock import SystemClock
from tests.harness.registry import registry
from tests.integration.image.remote.two_stores import OFFICE, Side
from tests.integration.image.store.made import findings, odd_tree, small_tree


@pytest.fixture(params=["folder", "docker-registry"])
async def place(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Place]:
    async with AsyncExitStack() as stack:
        if request.param == "folder":
            remote = Remote("origin", f"oci:{tmp_path}/remote")
        else:
            host = await stack.enter_async_context(registry(tmp_path))
            remote = Remote("origin", f"docker://{host}/lab", plain_http=True)
        yield await stack.enter_async_context(opened(remote, "office", SystemClock()))


@pytest.fixture
def here(tmp_path: Path) -> Side:
    return Side(tmp_path / "here")


@pytest.fixture
def there(tmp_path: Path) -> Side:
    return Side(tmp_path / "there")


async def test_every_odd_entry_arrives_as_it_was(
    place: Place, here: Side, there: Side, tmp_path: Path
) -> None:
    name = here.commit(odd_tree(tmp_path / "odd"), "odd")
    pushed = await here.push(place)
    assert (pushed.commit, pushed.before, pushed.commits) == (name, None, 1)
    arrived = await there.pull(place)
    assert (arrived.old, arrived.pulled.commit, arrived.pulled.commits) == (None, name, 1)
    assert there.branches.get(OFFICE) == name
    assert there.store.tree(name) == here.store.tree(name)
    assert there.store.commit(name) == here.store.commit(name)
    assert findings(there.store) == []


async def test_a_second_push_and_pull_move_only_what_is_new_by_a_delta(
    place: Place, here: Side, there: Side, tmp_path: Path
) -> None:
    root = small_tree(tmp_path / "root", "one")
    noise = random.Random(1).randbytes(400_000)
    (root / "library").write_bytes(noise)
    here.commit(root)
    await here.push(place)
    first = await there.pull(place)
    (root / "library").write_bytes(noise[:200_000] + b"mended" + noise[200_000:])
    second = here.commit(root)
    pushed = await here.push(place)
    assert pushed.commits == 1
    arrived = await there.pull(place)
    assert arrived.pulled.commit == second
    assert (arrived.pulled.commits, arrived.pulled.deltas) == (1, 1)
    assert arrived.pulled.received_bytes < first.pulled.received_bytes / 10
    assert there.store.tree(second) == here.store.tree(second)
    assert findings(there.store) == []
    again = await there.pull(place)
    assert (again.old, again.pulled.commits, again.pulled.received_bytes) == (second, 0, 0)
    assert (await here.push(place)).commits == 0


async def test_commits_since_the_last_pull_arrive_and_a_new_store_gets_the_newest(
    place: Place, here: Side, there: Side, tmp_path: Path
) -> None:
    root = small_tree(tmp_path / "root", "0")
    first = here.commit(root)
    await here.push(place)
    await there.pull(place)
    names = []
    for number in range(1, 4):
        (root / "etc/word").write_text(str(number))
        names.append(here.commit(root))
    assert (await here.push(place)).commits == 3
    assert (await there.pull(place)).pulled.commits == 3
    assert there.store.commit(names[0]).parents == (first,)
    assert there.store.commit(names[2]).parents == (names[1],)
    new = Side(tmp_path / "new")
    assert (await new.pull(place)).pulled.commits == 1
    assert new.branches.get(OFFICE) == names[2]
    assert findings(new.store) == []


async def test_neither_end_loses_commits_unless_forced(
    place: Place, here: Side, there: Side, tmp_path: Path
) -> None:
    here.commit(small_tree(tmp_path / "root", "one"))
    await here.push(place)
    await there.pull(place)
    mine = here.commit(small_tree(tmp_path / "mine", "mine"))
    theirs = there.commit(small_tree(tmp_path / "theirs", "theirs"))
    await there.push(place)
    with pytest.raises(Conflict):
        await here.push(place)
    with pytest.raises(Conflict, match="does not come after"):
        await here.pull(place)
    assert here.branches.get(OFFICE) == mine
    fetched = await here.exchange(place).fetch("origin", "office", None, "ana")
    assert [(one.ref, one.pulled.commit) for one in fetched] == [("office/origin.main", theirs)]
    assert (await here.pull(place, force=True)).old == mine
    assert here.branches.get(OFFICE) == theirs
    assert findings(here.store) == []


async def test_tags_go_with_their_names_and_never_move(
    place: Place, here: Side, there: Side, tmp_path: Path
) -> None:
    good = Ref("office", "good", tag=True)
    first = here.commit(small_tree(tmp_path / "root", "one"))
    here.branches.move(good, old=None, new=first, who="ana", why="test")
    await here.push(place, good)
    arrived = await there.exchange(place).fetch("origin", "office", good, "ana")
    assert [one.pulled.commit for one in arrived] == [first]
    second = there.commit(small_tree(tmp_path / "other", "two"))
    there.branches.move(good, old=None, new=second, who="ana", why="test")
    with pytest.raises(Conflict):
        await there.push(place, good, force=True)


async def test_what_is_not_there_is_said(place: Place, here: Side) -> None:
    with pytest.raises(NotFound, match="no branch"):
        await here.exchange(place).fetch("origin", "office", None, "ana")
    with pytest.raises(NotFound):
        await here.pull(place)
    with pytest.raises(NotFound, match="office"):
        await here.push(place)


async def test_a_full_disk_is_told_before_anything_comes(
    place: Place, here: Side, there: Side, tmp_path: Path
) -> None:
    here.commit(small_tree(tmp_path / "root", "one"))
    await here.push(place)
    with pytest.raises(NodeFull):
        await there.exchange(place, room=10).pull("origin", OFFICE, OFFICE, "ana", force=False)
    assert there.branches.get(OFFICE) is None
    assert findings(there.store) == []
