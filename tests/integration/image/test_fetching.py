"""A node that lacks an image gets it from others, once for all who wait."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from qvdnode.image.fetching import ImageFetcher
from qvdnode.image.ports import PullProgress
from qvdnode.image.settings import ImageSettings
from qvdnode.image.store.bundle_source import BundleSource
from qvdnode.image.store.partial import PartialCommit
from qvdnode.image.store.repository import Repository
from qvdnode.image.versions import ImageVersions
from qvdnode.model.errors import BadImage, FarmError, NodeFull, NotFound, Unavailable
from qvdnode.model.ids import ImageId, NodeId
from qvdnode.runtime.supervise import Supervisor
from tests.fakes.clock import ManualClock
from tests.integration.image.store.made import committed, findings, new_store, small_tree
from tests.waiting import until

IMAGE = ImageId(4)
FIRST, SECOND = NodeId(2), NodeId(3)


@dataclass
class Others:
    """Satisfies image.ports.CommitSource and VersionCatalogue: nodes with stores."""

    commit: str | None
    stores: dict[NodeId, Repository]
    asked: list[NodeId] = field(default_factory=list)
    errors: dict[NodeId, FarmError] = field(default_factory=dict)
    let: asyncio.Event = field(default_factory=asyncio.Event)

    async def version_commit(self, image_id: ImageId, version: int) -> tuple[str, str | None]:
        if image_id != IMAGE:
            raise NotFound("There is no such image.")
        return "icewm", self.commit

    async def pull(
        self, node_id: NodeId, store: Repository, commit: str, progress: PullProgress
    ) -> PartialCommit:
        self.asked.append(node_id)
        await self.let.wait()
        if node_id in self.errors:
            raise self.errors[node_id]
        source = BundleSource(self.stores[node_id], commit)
        partial = PartialCommit(store, commit, source.raw, source.packed)
        progress.begin(sum(size for _, size in partial.missing()))
        for chunk in source.chunks(partial.ask()):
            partial.take(chunk)
            progress.step(partial.received_bytes)
        return partial


@dataclass
class World:
    """A node, and what its users are told."""

    fetcher: ImageFetcher
    versions: ImageVersions
    others: Others
    clock: ManualClock
    told: list[str] = field(default_factory=list)

    async def bring(self) -> None:
        await self.fetcher.bring(IMAGE, 1, self.told.append)


@asynccontextmanager
async def world(
    settings: ImageSettings, tmp_path: Path, reserved_mib: int = 0
) -> AsyncIterator[World]:
    """A fetcher, and two other nodes that have the commit."""
    stores = {node: new_store(tmp_path / f"{node}") for node in (FIRST, SECOND)}
    root = small_tree(tmp_path / "root", "word")
    (commit,) = {committed(store, root) for store in stores.values()}
    others, clock = Others(commit, stores), ManualClock()
    others.let.set()

    async def reserved() -> int:
        return reserved_mib

    versions = ImageVersions(settings)
    fetcher = ImageFetcher(
        settings, versions, others, others, lambda _i, _v: list(stores), reserved, clock
    )
    async with Supervisor("test") as tasks:
        _ = tasks.essential("fetches", fetcher.run())
        await asyncio.sleep(0)
        yield World(fetcher, versions, others, clock)


async def test_what_is_fetched_is_a_version_of_this_node(
    settings: ImageSettings, tmp_path: Path
) -> None:
    async with world(settings, tmp_path) as here:
        assert not here.versions.has(IMAGE, 1)
        await here.bring()
        assert here.versions.has(IMAGE, 1)
        made = here.versions.commit_of(IMAGE, 1)
        assert made is not None
        assert (made.image, made.commit) == ("icewm", here.others.commit)
        assert made.commit in here.versions.pinned()
        assert here.versions.branches.resolve("icewm:1") == made.commit
        assert findings(here.versions.store) == []
        await here.bring()
        assert here.others.asked == [FIRST]
        # A commit that is here already needs no other node, whatever version it is.
        await here.fetcher.bring(IMAGE, 2, here.told.append)
        assert here.others.asked == [FIRST]
        assert here.versions.has(IMAGE, 2)


async def test_one_fetch_serves_all_who_wait_and_outlives_them(
    settings: ImageSettings, tmp_path: Path
) -> None:
    async with world(settings, tmp_path) as here:
        here.others.let.clear()
        waiting = [asyncio.create_task(here.bring()) for _ in range(3)]
        await until(lambda: here.others.asked)
        waiting[0].cancel()
        await until(lambda: here.told)
        assert all("Fetching the image icewm" in line for line in here.told)
        assert len(here.fetcher.running()) == 1
        here.others.let.set()
        await asyncio.gather(*waiting[1:])
        assert here.others.asked == [FIRST]
        assert here.fetcher.running() == []


async def test_another_node_is_asked_when_one_fails(
    settings: ImageSettings, tmp_path: Path
) -> None:
    async with world(settings, tmp_path) as here:
        here.others.errors[FIRST] = Unavailable("it is away")
        await here.bring()
        assert here.others.asked == [FIRST, SECOND]


async def test_two_nodes_that_lack_objects_complete_each_other(
    settings: ImageSettings, tmp_path: Path
) -> None:
    async with world(settings, tmp_path) as here:
        one, two = (sorted(s.places.objects.glob("*/*")) for s in here.others.stores.values())
        one[0].unlink()
        two[-1].unlink()
        await here.bring()
        assert here.others.asked == [FIRST, SECOND]
        assert findings(here.versions.store) == []


async def test_when_nobody_has_it_the_reasons_are_told(
    settings: ImageSettings, tmp_path: Path
) -> None:
    async with world(settings, tmp_path) as here:
        here.others.errors = {FIRST: Unavailable("it is away"), SECOND: NotFound("no such commit")}
        going = asyncio.create_task(here.bring())
        await until(lambda: here.clock.sleepers)
        here.clock.advance(1.0)
        with pytest.raises(BadImage, match=r"cannot be fetched.*it is away; no such commit"):
            await going
        here.others.errors.clear()
        await here.bring()
        assert here.versions.has(IMAGE, 1)


async def test_a_version_that_nobody_has_told_is_said_so(
    settings: ImageSettings, tmp_path: Path
) -> None:
    async with world(settings, tmp_path) as here:
        here.others.commit = None
        with pytest.raises(BadImage, match="no node has told"):
            await here.bring()
        with pytest.raises(NotFound):
            await here.fetcher.bring(ImageId(9), 1, here.told.append)


async def test_a_disk_without_room_refuses_before_anything_comes(
    settings: ImageSettings, tmp_path: Path
) -> None:
    async with world(settings, tmp_path, reserved_mib=1 << 40) as here:
        with pytest.raises(NodeFull, match="has no room"):
            await here.bring()
        assert not here.versions.store.places.commits.exists() or not list(
            here.versions.store.places.commits.iterdir()
        )


async def test_a_node_that_stops_fetches_nothing(settings: ImageSettings, tmp_path: Path) -> None:
    async with world(settings, tmp_path) as here:
        asked = here.fetcher
    stopped = ImageFetcher(
        replace(settings), ImageVersions(settings), here.others, here.others,
        lambda _i, _v: [], asked._reserved_mib, here.clock,
    )  # fmt: skip
    with pytest.raises(Unavailable, match="starting or stopping"):
        await stopped.bring(IMAGE, 1, here.told.append)
