"""The node's role in the embedded database, as somebody has it who found a way to send SQL.

And the server's account, as somebody has it who broke into the server: root works beside it.
"""

import os
import random
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import asyncpg
import pytest

from qvdnode.db import server_config
from qvdnode.db.migrate import migrate
from qvdnode.db.pool import Database
from qvdnode.db.postgres_binaries import find_binaries, usable_by
from qvdnode.db.postmaster import running_server
from qvdnode.db.raw import RawConnection
from qvdnode.host.process import exit_code, run
from qvdnode.host.system_account import SystemAccount, ensure_account, own_folder
from qvdnode.model.errors import HostFailed
from qvdnode.runtime.clock import SystemClock
from tests.integration.db.conftest import OwnServer, own_server

__all__ = ["own_server"]

pytestmark = [pytest.mark.postgres, pytest.mark.timeout(60)]

ATTACKS = {
    "program": "COPY (SELECT 1) TO PROGRAM 'touch {marker}'",
    "program-in": "CREATE TEMP TABLE t (x text); COPY t FROM PROGRAM 'id'",
    "file-out": "COPY (SELECT 1) TO '{marker}'",
    "file-in": "CREATE TEMP TABLE t (x text); COPY t FROM '/etc/passwd'",
    "read": "SELECT pg_read_file('/etc/passwd')",
    "read-binary": "SELECT pg_read_binary_file('/etc/passwd')",
    "list": "SELECT pg_ls_dir('/')",
    "stat": "SELECT pg_stat_file('/etc/passwd')",
    "logs": "SELECT pg_ls_logdir()",
    "large-object-in": "SELECT lo_import('/etc/passwd')",
    "large-object-out": "SELECT lo_export(lo_from_bytea(0, 'x'), '{marker}')",
    "configure": "ALTER SYSTEM SET archive_command = 'touch {marker}'",
    "configure-all-roles": "ALTER ROLE ALL SET session_preload_libraries = 'x'",
    "reload": "SELECT pg_reload_conf()",
    "preload": "SET session_preload_libraries = '/tmp/x'",
    "local-preload": "SET dynamic_library_path = '/tmp'",
    "load": "LOAD '/usr/lib/x86_64-linux-gnu/libc.so.6'",
    "c-function": "CREATE FUNCTION f() RETURNS int AS '/lib/libc.so.6', 'getpid' LANGUAGE c",
    "internal-function": "CREATE FUNCTION f(text) RETURNS text AS 'pg_read_file' LANGUAGE internal",
    "extension": "CREATE EXTENSION file_fdw",
    "wrapper": "CREATE FOREIGN DATA WRAPPER w",
    "tablespace": "CREATE TABLESPACE t LOCATION '/tmp'",
    "become": "SET ROLE qvdnode",
    "become-session": "SET SESSION AUTHORIZATION qvdnode",
    "promote": "ALTER ROLE qvdnode_node SUPERUSER",
    "promote-bypass": "ALTER ROLE qvdnode_node BYPASSRLS CREATEROLE CREATEDB REPLICATION",
    "role": "CREATE ROLE mallory LOGIN SUPERUSER",
    "grant": "GRANT pg_execute_server_program TO qvdnode_node",
    "rename": "ALTER ROLE qvdnode RENAME TO mallory",
    "hashes": "SELECT * FROM pg_authid",
    "hba": "SELECT * FROM pg_hba_file_rules",
    "database": "CREATE DATABASE other",
    "catalogue": "UPDATE pg_database SET datallowconn = false",
    "rotate": "SELECT pg_rotate_logfile()",
    "definer": "ALTER FUNCTION pg_read_file(text) SECURITY DEFINER",
}  # fmt: skip


@pytest.fixture
async def role(own_server: OwnServer) -> AsyncIterator[RawConnection]:
    """A connection as the node makes it."""
    connection = await asyncpg.connect(await own_server.embedded.start())
    yield connection
    await connection.close()


async def test_the_role_reaches_neither_host_nor_server(
    role: RawConnection, tmp_path: Path
) -> None:
    tmp_path.chmod(0o777)
    marker = tmp_path / "marker"
    done = []
    for name, statements in ATTACKS.items():
        try:
            await role.execute(statements.format(marker=marker))
        except asyncpg.PostgresError as error:
            if not isinstance(
                error,
                asyncpg.InsufficientPrivilegeError
                | asyncpg.CantChangeRuntimeParamError
                | asyncpg.FeatureNotSupportedError,
            ):
                done.append(f"{name}: refused for another reason, {error!r}")
        else:
            done.append(name)
    assert done == []
    assert not marker.exists()


async def test_the_role_is_nothing_but_an_owner(role: RawConnection) -> None:
    mine = await role.fetchrow("SELECT * FROM pg_roles WHERE rolname = current_user")
    assert mine is not None
    attributes = ("rolsuper", "rolcreaterole", "rolcreatedb", "rolreplication", "rolbypassrls")
    assert [name for name in attributes if mine[name]] == []
    member = "SELECT count(*) FROM pg_auth_members WHERE member = $1"
    assert await role.fetchval(member, mine["oid"]) == 0
    everybody = """SELECT has_schema_privilege('public', 'public', 'CREATE, USAGE')
    OR has_database_privilege('public', current_database(), 'CONNECT, TEMP, CREATE')"""
    assert not await role.fetchval(everybody)


@pytest.mark.parametrize("database", ["postgres", "template1"])
async def test_the_role_has_one_database(own_server: OwnServer, database: str) -> None:
    dsn = await own_server.embedded.start()
    with pytest.raises(asyncpg.InvalidAuthorizationSpecificationError, match=r"no pg_hba\.conf"):
        await asyncpg.connect(dsn.replace("/qvdnode?", f"/{database}?"))


async def test_root_is_not_the_superuser_by_the_socket(own_server: OwnServer) -> None:
    dsn = await own_server.embedded.start()
    folder = Path(parse_qs(urlsplit(dsn).query)["host"][0])
    for database in (server_config.DATABASE, server_config.MAINTENANCE_DATABASE):
        with pytest.raises(asyncpg.InvalidAuthorizationSpecificationError, match="Peer"):
            await asyncpg.connect(server_config.dsn(folder, database, server_config.SUPERUSER))


async def test_data_of_an_older_program_is_taken_over(own_server: OwnServer) -> None:
    """Whose one role was the superuser and owned all, in a folder of the account's."""
    account = await ensure_account(own_server.settings.system_user)
    state = own_server.settings.state_dir
    own_folder(state / "pg", account)
    data, sockets = state / "pg" / "data", state / "pg" / "sockets"
    own_folder(sockets, account)
    binaries = await usable_by(await find_binaries(None), account, state / "pg")

    async def as_account(program: str, *words: str | Path) -> None:
        await run(account.command(binaries.program(program), *words), limit_s=30)

    await as_account(
        "initdb", "-D", data, "-U", "qvdnode", "-A", "peer", "--no-instructions", "--wal-segsize=4"
    )
    (data / "pg_hba.conf").write_text("local all all peer map=node\n")
    (data / "pg_ident.conf").write_text("node root qvdnode\n")
    options = f"-c listen_addresses= -c unix_socket_directories={sockets}"
    start = account.command(
        binaries.program("pg_ctl"), "start", "-D", data, "-w", "-o", options, "-l",
        state / "pg" / "server.log",
    )  # fmt: skip
    assert await exit_code(start, limit_s=30) == 0
    old = server_config.dsn(sockets, role="qvdnode")
    await _fill(old.replace("/qvdnode?", "/postgres?"), "CREATE DATABASE qvdnode")
    await _fill(old, "CREATE TABLE kept (id int GENERATED ALWAYS AS IDENTITY, answer int)")
    await _fill(old, "INSERT INTO kept (answer) VALUES (42)")
    with pytest.raises(HostFailed, match="restart the node first"):
        await own_server.another().start(may_restart=False)  # such as a backup
    for _ in range(2):
        connection = await asyncpg.connect(await own_server.embedded.start())
        assert await connection.fetchval("SELECT answer FROM kept") == 42
        await connection.execute("INSERT INTO kept (answer) VALUES (43)")
        await connection.execute("ALTER TABLE kept ADD COLUMN more int")
        await connection.execute("ALTER TABLE kept DROP COLUMN more")
        assert not await connection.fetchval(
            "SELECT rolsuper FROM pg_roles WHERE rolname = current_user"
        )
        await connection.close()
    assert (state / "pg").stat().st_uid == 0
    assert not own_server.embedded.adopted or own_server.pid() is not None


async def _fill(dsn: str, statement: str) -> None:
    connection = await asyncpg.connect(dsn)
    await connection.execute(statement)
    await connection.close()


async def test_migration_works_as_the_role(own_server: OwnServer) -> None:
    dsn = await own_server.embedded.start()
    db = await Database.open(dsn, own_server.settings, SystemClock(), random.Random(1))
    assert await migrate(db) > 0
    await db.close()


@pytest.mark.parametrize("name", ["postmaster.pid", "postmaster.opts", "PG_VERSION"])
async def test_files_of_the_server_neither_lead_root_elsewhere_nor_make_it_wait(
    own_server: OwnServer, tmp_path: Path, name: str
) -> None:
    await own_server.embedded.start()
    await own_server.embedded.stop()
    data = own_server.settings.state_dir / "pg" / "data"
    secret = tmp_path / "secret"
    secret.write_text("4711\n")
    for put in (os.mkfifo, lambda at: at.symlink_to(secret)):
        (data / name).unlink(missing_ok=True)
        put(data / name)
        assert running_server(data) is None
        if name == "PG_VERSION":
            with pytest.raises(HostFailed):
                await own_server.another().start()
    assert secret.read_text() == "4711\n"


async def test_the_servers_account_can_put_nothing_where_root_works(own_server: OwnServer) -> None:
    await own_server.embedded.start()
    pg = own_server.settings.state_dir / "pg"
    account = await ensure_account(own_server.settings.system_user)
    for path in (pg, pg / "conf"):
        assert await _touch(account, path / "planted") != 0
    for path in (pg / "conf").iterdir():
        assert await _touch(account, path) != 0
    assert await _touch(account, pg / "data" / "planted") == 0


async def _touch(account: SystemAccount, path: Path) -> int:
    return (await run(account.command("touch", path), check=False)).returncode
