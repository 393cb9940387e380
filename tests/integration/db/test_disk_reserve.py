"""The embedded server on a disk that gets full: it comes back, and what it had is there."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import asyncpg
import pytest

from qvdnode.db import disk_reserve
from qvdnode.db.disk_reserve import DiskReserve
from qvdnode.db.embedded import EmbeddedPostgres
from qvdnode.db.settings import DatabaseSettings
from qvdnode.host import disk_space, mounts, process
from qvdnode.runtime.clock import SystemClock
from qvdnode.runtime.supervise import Supervisor
from tests.fixtures_postgres import state_folder
from tests.waiting import until

pytestmark = [pytest.mark.postgres, pytest.mark.mounts, pytest.mark.timeout(90)]

SIZE_MIB = 256


@pytest.fixture
async def small_disk() -> AsyncIterator[Path]:
    """A state folder on a small ext4 of the test's own."""
    folder = state_folder()
    backing = folder.with_suffix(".ext4")
    with backing.open("xb") as file:
        os.truncate(file.fileno(), SIZE_MIB << 20)
    try:
        await process.run(["mkfs.ext4", "-q", "-m", "0", "-b", "4096", backing])
        await process.run(["mount", "-o", "loop", backing, folder])
        folder.chmod(0o711)
        yield folder
    finally:
        mounts.unmount(folder)
        backing.unlink()
        folder.rmdir()


@pytest.fixture
def tmpfs(tmp_path: Path) -> Iterator[Path]:
    """A folder with 100 MiB."""
    mounts.tmpfs(tmp_path, size_kib=100 << 10, inodes=1024, owner=0, mode=0o700)
    yield tmp_path
    mounts.unmount(tmp_path)


@asynccontextmanager
async def serving(settings: DatabaseSettings) -> AsyncIterator[str]:
    embedded = EmbeddedPostgres(settings, SystemClock())
    dsn = await embedded.start()
    try:
        async with Supervisor("test") as tasks:
            task = tasks.essential("postgres", embedded.run())
            yield dsn
            task.cancel()
    finally:
        await embedded.stop()


def fill(folder: Path) -> Path:
    """Write as root until nothing is left."""
    filler = folder / "filler"
    with filler.open("ab", buffering=0) as file:
        for piece in (1 << 20, 4096, 1):
            try:
                while True:
                    file.write(bytes(piece))
            except OSError:
                continue
    return filler


async def inserted(dsn: str, number: int) -> bool:
    try:
        connection = await asyncpg.connect(dsn, timeout=2)
    except (OSError, asyncpg.PostgresError):
        return False
    try:
        await connection.execute("INSERT INTO kept VALUES ($1)", number)
    except asyncpg.PostgresError:
        return False
    finally:
        await connection.close()
    return True


def server_pid(folder: Path) -> int:
    return int((folder / "pg/data/postmaster.pid").read_text().splitlines()[0])


async def test_a_server_that_dies_on_a_full_disk_comes_back_with_what_it_had(
    small_disk: Path,
) -> None:
    settings = DatabaseSettings(state_dir=small_disk, reserve_mib=32)
    spare = small_disk / "pg/reserve"
    async with serving(settings) as dsn:
        assert spare.stat().st_blocks * 512 >= 32 << 20
        connection = await asyncpg.connect(dsn)
        await connection.execute("CREATE TABLE kept (number integer)")
        await connection.execute("INSERT INTO kept SELECT generate_series(1, 1000)")
        filler = fill(small_disk)
        first = server_pid(small_disk)
        os.kill(first, signal.SIGKILL)
        connection.terminate()
        await until(lambda: inserted(dsn, 1001), limit_s=30, what="the server to be back")
        assert not spare.exists()
        connection = await asyncpg.connect(dsn)
        assert await connection.fetchval("SELECT count(*) FROM kept") == 1001
        await connection.close()
        filler.unlink()
        await until(spare.exists, limit_s=30, what="the reserve to be reserved again")


async def test_a_node_that_starts_on_a_full_disk_has_its_database(small_disk: Path) -> None:
    settings = DatabaseSettings(state_dir=small_disk, reserve_mib=32)
    async with serving(settings):
        pass
    fill(small_disk)
    async with serving(settings) as dsn:
        connection = await asyncpg.connect(dsn)
        assert await connection.fetchval("SELECT 1") == 1
        await connection.close()


async def test_a_server_with_no_reserve_is_back_as_soon_as_there_is_room(
    small_disk: Path,
) -> None:
    settings = replace(DatabaseSettings(state_dir=small_disk), reserve_mib=0)
    async with serving(settings) as dsn:
        connection = await asyncpg.connect(dsn)
        await connection.execute("CREATE TABLE kept (number integer)")
        filler = fill(small_disk)
        os.kill(server_pid(small_disk), signal.SIGKILL)
        connection.terminate()
        await asyncio.sleep(0)
        filler.unlink()
        await until(lambda: inserted(dsn, 1), limit_s=30, what="the server to be back")


def holds(kept: DiskReserve) -> bool:
    """Whether it is there now, which changes from call to call."""
    return kept.held


def test_reserve_is_released_only_when_space_stays_short(tmpfs: Path) -> None:
    kept = DiskReserve(tmpfs, 32)
    kept.create()
    assert holds(kept)
    kept.release_if_full()
    assert holds(kept)  # there is other room
    (tmpfs / "filler").write_bytes(bytes((disk_space.free_room(tmpfs).mib - 8) << 20))
    for _ in range(disk_reserve.CHECKS_LOW - 1):
        kept.update()
        assert holds(kept)
    kept.update()
    assert not holds(kept)
    kept.update()
    assert not holds(kept)  # 40 MiB are free: not plenty
    (tmpfs / "filler").unlink()
    kept.update()
    assert holds(kept)


def test_nothing_is_written_through_a_link_in_the_folder_of_the_server(tmpfs: Path) -> None:
    other = tmpfs / "other"
    other.write_text("precious")
    (tmpfs / "reserve").symlink_to(other)
    kept = DiskReserve(tmpfs, 16)
    assert not holds(kept)
    kept.create()
    assert holds(kept)
    assert other.read_text() == "precious"
    DiskReserve(tmpfs, 0).create()
