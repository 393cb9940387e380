"""A registry that breaks off, lies, wants a login, or is not there."""

import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from qvdnode.image.remote.exchange import opened
from qvdnode.image.remote.ports import Place
from qvdnode.image.remote.remotes import Remote
from qvdnode.model.errors import BadImage, Forbidden, Unavailable
from tests.fakes.clock import ManualClock
from tests.fakes.registry import PASSWORD, USER, FakeRegistry, serving
from tests.integration.image.remote.two_stores import OFFICE, Side
from tests.integration.image.store.made import findings, small_tree


class HastyClock(ManualClock):
    """Pauses take no time."""

    async def sleep(self, seconds: float) -> None:
        """Pass at once."""
        self.advance(seconds)


@asynccontextmanager
async def at(fake: FakeRegistry, *, user: str = "", password: str = "") -> AsyncIterator[Place]:
    async with serving(fake) as host:
        remote = Remote("origin", f"docker://{host}/lab", user, password, plain_http=True)
        async with opened(remote, "office", HastyClock()) as place:
            yield place


@pytest.fixture
def here(tmp_path: Path) -> Side:
    side = Side(tmp_path / "here")
    root = small_tree(tmp_path / "root", "one")
    (root / "library").write_bytes(random.Random(1).randbytes(3_000_000))
    side.commit(root)
    return side


@pytest.fixture
def there(tmp_path: Path) -> Side:
    return Side(tmp_path / "there")


async def test_transfers_go_on_where_they_broke_off(here: Side, there: Side) -> None:
    fake = FakeRegistry(upload_failures=2)
    async with at(fake) as place:
        await here.push(place)
        fake.breaks_off = 4
        arrived = await there.pull(place)
    assert fake.ranges, "a download began anew"
    assert there.branches.get(OFFICE) == arrived.pulled.commit
    assert findings(there.store) == []


async def test_what_never_ends_breaking_off_is_told_and_kept_for_the_next_try(
    here: Side, there: Side
) -> None:
    fake = FakeRegistry()
    async with at(fake) as place:
        await here.push(place)
        fake.breaks_off = 1_000
        with pytest.raises((Unavailable, BadImage)):
            await there.pull(place)
        assert there.branches.get(OFFICE) is None
        fake.breaks_off = 0
        await there.pull(place)
    assert findings(there.store) == []


async def test_changed_content_is_refused_and_the_store_stays_whole(
    here: Side, there: Side
) -> None:
    fake = FakeRegistry()
    async with at(fake) as place:
        await here.push(place)
        fake.lies = True
        with pytest.raises(BadImage):
            await there.pull(place)
        assert there.branches.get(OFFICE) is None
        assert findings(there.store) == []
        fake.lies = False
        await there.pull(place)
    assert findings(there.store) == []


@pytest.mark.parametrize("junk", [b"", b"[]", b"{", b'{"schemaVersion": 2}', b"\xff" * 300])
async def test_a_document_that_is_none(here: Side, there: Side, junk: bytes) -> None:
    fake = FakeRegistry()
    async with at(fake) as place:
        await here.push(place)
        fake.manifests = dict.fromkeys(fake.manifests, junk)
        with pytest.raises(BadImage):
            await there.pull(place)
    assert findings(there.store) == []


async def test_a_login_gives_a_token(here: Side) -> None:
    fake = FakeRegistry(wants_login=True)
    async with at(fake, user=USER, password=PASSWORD) as place:
        assert (await here.push(place)).commits == 1


@pytest.mark.parametrize(("user", "password"), [("", ""), (USER, "wrong")])
async def test_a_wrong_login_is_told(here: Side, user: str, password: str) -> None:
    fake = FakeRegistry(wants_login=True)
    async with at(fake, user=user, password=password) as place:
        with pytest.raises(Forbidden):
            await here.push(place)


async def test_nobody_there(here: Side) -> None:
    remote = Remote("origin", "docker://127.0.0.1:1/lab", plain_http=True)
    async with opened(remote, "office", HastyClock()) as place:
        with pytest.raises(Unavailable, match="cannot be reached"):
            await here.push(place)


async def test_without_encryption_only_where_it_was_asked_for(here: Side) -> None:
    async with serving(FakeRegistry()) as host:
        remote = Remote("origin", f"docker://{host}/lab")
        async with opened(remote, "office", HastyClock()) as place:
            with pytest.raises(Unavailable):
                await here.push(place)
