"""The embedded server: private, durable, kept alive, adopted."""

import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import asyncpg
import pytest

from qvdnode.db import server_config
from qvdnode.db.embedded import EmbeddedPostgres
from qvdnode.db.postgres_binaries import find_binaries, usable_by
from qvdnode.db.settings import DatabaseSettings
from qvdnode.host.pidfd import start_ticks
from qvdnode.host.process import Finished, run
from qvdnode.host.system_account import ensure_account
from qvdnode.model.errors import HostFailed
from qvdnode.runtime.clock import SystemClock
from qvdnode.runtime.supervise import Supervisor
from tests.fixtures_postgres import state_folder
from tests.integration.db.conftest import OwnServer
from tests.waiting import until

pytestmark = [pytest.mark.postgres, pytest.mark.timeout(60)]


@asynccontextmanager
async def supervised(embedded: EmbeddedPostgres) -> AsyncIterator[None]:
    async with Supervisor("test") as tasks:
        task = tasks.essential("postgres", embedded.run())
        yield
        task.cancel()


def socket_folder(dsn: str) -> Path:
    return Path(parse_qs(urlsplit(dsn).query)["host"][0])


def owner_and_mode(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_uid, status.st_mode & 0o777


async def one(dsn: str) -> object:
    connection = await asyncpg.connect(dsn)
    try:
        return await connection.fetchval("SELECT 1")
    finally:
        await connection.close()


async def as_superuser(server: OwnServer, dsn: str, statement: str) -> Finished:
    """What the server's own account may."""
    account = await ensure_account(server.settings.system_user)
    store = server.settings.state_dir / "pg"
    programs = await usable_by(await find_binaries(None), account, store)
    address = server_config.dsn(socket_folder(dsn), "template1", server_config.SUPERUSER)
    argv = account.command(programs.program("psql"), address, "-c", statement)
    return await run(argv, check=False)


async def test_it_runs_as_its_own_account_and_nobody_else_gets_in(own_server: OwnServer) -> None:
    dsn = await own_server.embedded.start()
    assert await one(dsn) == 1
    account = await ensure_account(own_server.settings.system_user)
    pid = own_server.pid()
    assert pid is not None
    assert owner_and_mode(Path("/proc") / str(pid))[0] == account.uid != 0
    pg = own_server.settings.state_dir / "pg"
    for folder in (pg / "data", socket_folder(dsn)):
        assert owner_and_mode(folder) == (account.uid, 0o700)
    for folder in (pg, pg / "conf"):
        assert owner_and_mode(folder) == (0, 0o750), "the account could put something there"
    listening = (await run(["ss", "-Hltnp"])).stdout.decode()
    assert f"pid={pid}," not in listening


async def test_another_account_is_refused_even_with_a_way_to_the_socket(
    own_server: OwnServer,
) -> None:
    dsn = await own_server.embedded.start()
    account = await ensure_account(own_server.settings.system_user)
    store = own_server.settings.state_dir / "pg"
    programs = await usable_by(await find_binaries(None), account, store)
    refused = await run(
        account.command(programs.program("psql"), dsn, "-c", "SELECT 1"), check=False
    )
    assert b"Peer authentication failed" in refused.stderr


async def test_a_killed_server_comes_back_with_what_it_had(own_server: OwnServer) -> None:
    dsn = await own_server.embedded.start()
    connection = await asyncpg.connect(dsn)
    await connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")
    first = own_server.pid()
    assert first is not None
    async with supervised(own_server.embedded):
        os.kill(first, signal.SIGKILL)
        await until(lambda: own_server.pid() not in (None, first), limit_s=30)
        await until(lambda: _answers(dsn), limit_s=30)
        connection.terminate()
        connection = await asyncpg.connect(dsn)
        assert await connection.fetchval("SELECT answer FROM kept") == 42
        await connection.close()
    assert own_server.pid() not in (None, first)


async def test_a_server_that_cannot_be_started_yet_is_tried_again(
    own_server: OwnServer, caplog: pytest.LogCaptureFixture
) -> None:
    """As while the disk is full: the node goes on with what runs."""
    dsn = await own_server.embedded.start()
    first = own_server.pid()
    assert first is not None
    conf = own_server.settings.state_dir / "pg" / "conf" / "postgresql.conf"
    conf.unlink()
    conf.mkdir()  # no file can take the place of a folder
    async with supervised(own_server.embedded):
        os.kill(first, signal.SIGKILL)
        await until(lambda: _said(caplog, "embedded_database_not_started"), limit_s=30)
        conf.rmdir()
        await until(lambda: _answers(dsn), limit_s=30)
    assert owner_and_mode(conf) == (0, 0o644)


async def test_a_server_that_turns_out_to_be_of_no_use_is_not_left_running(
    own_server: OwnServer,
) -> None:
    dsn = await own_server.embedded.start()
    for name in ("postgres", server_config.DATABASE):
        assert (await as_superuser(own_server, dsn, f"DROP DATABASE {name}")).returncode == 0
    with pytest.raises(HostFailed, match="not usable"):
        await own_server.another().start()
    assert own_server.pid() is not None  # it was there before
    await own_server.embedded.stop()
    with pytest.raises(HostFailed, match="not usable"):
        await own_server.another().start()
    assert own_server.pid() is None


async def test_a_server_that_outlived_its_node_is_adopted(own_server: OwnServer) -> None:
    dsn = await own_server.embedded.start()
    first = own_server.pid()
    second = own_server.another()
    assert await second.start() == dsn
    assert second.adopted
    assert own_server.pid() == first
    assert not own_server.embedded.adopted


async def test_an_adopted_server_that_cannot_say_how_it_is_set_up_is_set_up_again(
    own_server: OwnServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    dsn = await own_server.embedded.start()
    monkeypatch.setattr(server_config, "IS_SET_UP", "SELECT 1 / 0")
    again = own_server.another()
    assert await again.start() == dsn
    assert again.adopted


async def test_an_adopted_server_is_kept_alive_too(own_server: OwnServer) -> None:
    await own_server.embedded.start()
    second = own_server.another()
    dsn = await second.start()
    first = own_server.pid()
    assert first is not None
    async with supervised(second):
        os.kill(first, signal.SIGKILL)
        await until(lambda: own_server.pid() not in (None, first), limit_s=30)
        await until(lambda: _answers(dsn), limit_s=30)


async def test_a_pid_file_that_names_somebody_else_is_no_obstacle(own_server: OwnServer) -> None:
    await own_server.embedded.start()
    other_state = state_folder()
    other = EmbeddedPostgres(DatabaseSettings(state_dir=other_state), SystemClock())
    pid_file = own_server.settings.state_dir / "pg" / "data" / "postmaster.pid"
    try:
        await other.start()
        text = pid_file.read_text()
        await own_server.embedded.stop()
        # after a reboot the pid may belong to another server of the same account
        other_pid = (other_state / "pg" / "data" / "postmaster.pid").read_text().split()[0]
        pid_file.write_text(text.replace(text.split()[0], other_pid, 1))
        assert await one(await own_server.another().start()) == 1
    finally:
        await other.stop()
        await run(["rm", "-rf", other_state])


async def test_stopping_leaves_no_process_and_no_socket(own_server: OwnServer) -> None:
    dsn = await own_server.embedded.start()
    pid = own_server.pid()
    await own_server.embedded.stop()
    assert own_server.pid() is None
    assert pid is not None
    await until(lambda: start_ticks(pid) is None)
    assert not socket_folder(dsn).exists()
    await own_server.embedded.stop()


async def test_a_closed_folder_is_named_and_left_closed(own_server: OwnServer) -> None:
    state = own_server.settings.state_dir
    state.chmod(0o700)
    with pytest.raises(HostFailed, match=f"{state} is closed to the account") as caught:
        await own_server.embedded.start()
    assert "chmod o+x" in str(caught.value)
    assert state.stat().st_mode & 0o777 == 0o700


@pytest.mark.mounts
async def test_a_full_disk_is_said_and_nothing_half_made_is_left(own_server: OwnServer) -> None:
    state = own_server.settings.state_dir
    await run(["mount", "-t", "tmpfs", "-o", "size=8m,mode=0711", "qvdnode-test", state])
    try:
        with pytest.raises(HostFailed, match="No space left on device"):
            await own_server.embedded.start()
        assert [path.name for path in (state / "pg").iterdir()] == []
    finally:
        await run(["umount", state])


async def test_a_start_that_fails_says_what_the_server_said(own_server: OwnServer) -> None:
    await own_server.embedded.start()
    await own_server.embedded.stop()
    control = own_server.settings.state_dir / "pg" / "data" / "global" / "pg_control"
    control.rename(control.with_suffix(".away"))
    with pytest.raises(HostFailed, match=r"does not start: .*pg_control"):
        await own_server.another().start()


async def test_data_of_another_major_version_is_refused_by_its_number(
    own_server: OwnServer,
) -> None:
    await own_server.embedded.start()
    await own_server.embedded.stop()
    (own_server.settings.state_dir / "pg" / "data" / "PG_VERSION").write_text("9\n")
    with pytest.raises(HostFailed, match="made by PostgreSQL 9"):
        await own_server.another().start()


def _said(caplog: pytest.LogCaptureFixture, event: str) -> bool:
    return any(record.msg == event for record in caplog.records)


async def _answers(dsn: str) -> bool:
    try:
        return await one(dsn) == 1
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
        return False
