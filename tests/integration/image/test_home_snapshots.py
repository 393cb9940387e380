"""Snapshots of homes on a schedule, and files brought back from them."""

import asyncio
import os
from dataclasses import replace
from pathlib import Path

import pytest

from qvdnode.host import loop_files, mounts
from qvdnode.image.home_backup.store import opened
from qvdnode.image.home_backup.work import Owner
from qvdnode.image.home_snapshots import HomeSnapshots
from qvdnode.image.homes import HOME_UID
from qvdnode.image.settings import ImageSettings
from qvdnode.model.errors import Conflict, HostFailed, NodeFull, NotFound, Unavailable
from qvdnode.model.ids import UserId
from tests.fakes.clock import ManualClock
from tests.integration.image.home_backup.lab import ALICE, BOB, MIB, Lab

pytestmark = pytest.mark.mounts
HOUR_S = 3_600.0


class Snapshots(Lab):
    """Homes, and the service that makes snapshots of them each hour."""

    def __init__(self, settings: ImageSettings) -> None:
        super().__init__(replace(settings, home_snapshot_minutes=60))
        self.clock = ManualClock()
        self.service = self.made_with(self.settings)

    def made_with(self, settings: ImageSettings) -> HomeSnapshots:
        return HomeSnapshots(settings, self.owner_of, self.clock)

    async def owner_of(self, user_id: UserId) -> Owner:
        if user_id == BOB:
            raise Unavailable("The database is away.")
        return Owner("alice", "acme")

    async def names(self, path: str = "") -> list[str]:
        history = await self.service.history(ALICE, path)
        return [facts.name for facts in history.snapshots]

    async def after(self, seconds: float) -> None:
        self.clock.advance(seconds)
        await self.service.make_due()


@pytest.fixture
def lab(settings: ImageSettings) -> Snapshots:
    return Snapshots(settings)


def write(home: Path, name: str, content: str | bytes) -> None:
    path = home / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    os.chown(path, HOME_UID, HOME_UID)


@pytest.mark.parametrize("running", [True, False])
async def test_a_user_gets_an_older_file_back_beside_the_newer_one(
    lab: Snapshots, running: bool
) -> None:
    home = await lab.acquire()
    write(home, "thesis", "first")
    await lab.service.make_due()
    write(home, "thesis", "second, and worse")
    await lab.after(HOUR_S)
    if not running:
        await lab.release()
    newer, older = await lab.names("thesis")
    assert newer > older
    name = await lab.service.restore(ALICE, "thesis", "30m")
    assert name == f"restored-{older}"
    home = await lab.acquire()
    assert (home / name / "thesis").read_text() == "first"
    assert (home / "thesis").read_text() == "second, and worse"
    assert (home / name).stat().st_uid == HOME_UID
    # A second part of the same snapshot goes beside the first.
    assert await lab.service.restore(ALICE, "thesis", "30m") == f"{name}-2"
    await lab.release()
    assert not loop_files.in_use(lab.layout.home_file(ALICE))
    assert mounts.under(lab.settings.state_dir) == []


async def test_only_homes_that_changed_get_a_snapshot_when_it_is_due(lab: Snapshots) -> None:
    home = await lab.acquire()
    await lab.service.make_due()
    assert len(await lab.names()) == 1
    write(home, "notes", "x")
    await lab.after(HOUR_S - 61)
    assert len(await lab.names()) == 1
    await lab.after(61)
    assert len(await lab.names()) == 2
    await lab.after(HOUR_S)
    assert len(await lab.names()) == 2
    # The log of a path has the snapshots in which it changed.
    write(home, "other", "y")
    await lab.after(HOUR_S)
    assert (len(await lab.names()), len(await lab.names("notes"))) == (3, 1)
    await lab.release()


async def test_a_home_that_nobody_used_is_not_even_mounted(lab: Snapshots) -> None:
    await lab.acquire()
    await lab.release()
    await lab.service.make_due()
    file = lab.layout.home_file(ALICE)
    before = file.stat().st_mtime_ns
    await lab.after(HOUR_S)
    await lab.after(HOUR_S)
    assert file.stat().st_mtime_ns == before
    home = await lab.acquire()
    write(home, "late", "z")
    await lab.release()
    await lab.after(HOUR_S)
    assert len(await lab.names("late")) == 1


async def test_expired_snapshots_go_with_their_content(lab: Snapshots) -> None:
    lab.service = lab.made_with(
        replace(
            lab.settings, home_snapshots_hourly=2, home_snapshots_daily=0, home_snapshots_weekly=0
        )
    )
    home = await lab.acquire()
    for number in range(4):
        write(home, "film", os.urandom(MIB))
        await lab.after(HOUR_S)
        folder = lab.layout.home_snapshots(ALICE)
        assert len(list(folder.glob("blocks/*/*"))) == min(2, number + 1)
    assert len(await lab.names()) == 2
    await lab.release()


async def test_snapshots_take_no_more_than_their_room(lab: Snapshots) -> None:
    lab.service = lab.made_with(replace(lab.settings, home_snapshots_max_mib=5))
    home = await lab.acquire()
    for _ in range(6):
        write(home, "film", os.urandom(2 * MIB))
        await lab.after(HOUR_S)
        assert (await lab.service.history(ALICE)).size_bytes <= 5 * MIB
    assert 1 <= len(await lab.names()) <= 2
    write(home, "film", os.urandom(6 * MIB))
    with pytest.raises(HostFailed, match="home_snapshots_max_mib"):
        await lab.service.take(ALICE)
    assert (await lab.service.history(ALICE)).size_bytes <= 5 * MIB
    await lab.release()


async def test_a_full_disk_refuses_snapshots(lab: Snapshots) -> None:
    lab.service = lab.made_with(replace(lab.settings, free_floor_mib=1 << 30))
    await lab.acquire()
    with pytest.raises(NodeFull, match="a snapshot of a home"):
        await lab.service.take(ALICE)
    await lab.release()


async def test_a_home_that_fails_does_not_stop_the_others(
    lab: Snapshots, caplog: pytest.LogCaptureFixture
) -> None:
    await lab.acquire()
    await lab.release()
    home = await lab.acquire(BOB)
    write(home, "notes", "x")
    lab.layout.home_file(ALICE).write_bytes(b"no file system")
    await lab.service.make_due()
    assert "home_snapshot_failed" in caplog.text
    assert len((await lab.service.history(BOB)).snapshots) == 1
    await lab.release(BOB)


async def test_what_cannot_be_done_says_why(lab: Snapshots) -> None:
    with pytest.raises(NotFound, match="no home"):
        await lab.service.take(ALICE)
    home = await lab.acquire()
    with pytest.raises(NotFound, match="no snapshot"):
        await lab.service.restore(ALICE)
    write(home, "notes", "x")
    await lab.service.take(ALICE)
    with pytest.raises(NotFound, match="no snapshot from"):
        await lab.service.restore(ALICE, at="1w")
    with pytest.raises(NotFound, match="has no missing"):
        await lab.service.restore(ALICE, "missing")
    with opened(lab.layout.home_snapshots(ALICE)), pytest.raises(Conflict, match="works on"):
        await lab.service.restore(ALICE, "notes")
    await lab.release()


async def test_what_is_done_is_shown_meanwhile(lab: Snapshots) -> None:
    home = await lab.acquire()
    for number in range(200):
        write(home, f"file{number}", os.urandom(50_000))
    taking = asyncio.ensure_future(lab.service.take(ALICE))
    seen = set[str]()
    while not taking.done():
        seen.add((await lab.service.history(ALICE, limit=0)).working)
        await asyncio.sleep(0)
    assert any("files" in text for text in seen)
    assert (await lab.service.history(ALICE)).working == ""
    await taking
    await lab.release()
