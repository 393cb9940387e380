"""Creates, starts, supervises and stops the node's embedded PostgreSQL.

The server runs under an account of its own and accepts only root, on a unix socket. It survives a
killed node, and the next one adopts it. The account owns the data folder only, so that it cannot
write where root works. The node's role is not a superuser; tasks that need one run as the account.
"""

import asyncio
import hashlib
import logging
import os
import shlex
import shutil
from pathlib import Path
from typing import Final

import asyncpg

from qvdnode.db import server_config
from qvdnode.db.disk_reserve import DiskReserve
from qvdnode.db.postgres_binaries import Binaries, find_binaries, usable_by
from qvdnode.db.postmaster import READY, data_version, remove_stale_pid_file, running_server
from qvdnode.db.settings import DatabaseSettings
from qvdnode.host.guest_files import GuestFolder
from qvdnode.host.pidfd import wait_gone
from qvdnode.host.process import exit_code, run
from qvdnode.host.system_account import (
    SystemAccount,
    closed_folder,
    ensure_account,
    own_folder,
    passable_folder,
)
from qvdnode.model.errors import FarmError, HostFailed, TimedOut
from qvdnode.runtime.clock import Clock
from qvdnode.runtime.rollback import Rollback
from qvdnode.runtime.safe_files import new_file, replace_file
from qvdnode.runtime.time_limit import TimeLimit
from qvdnode.telemetry.metrics import Counter

log = logging.getLogger(__name__)


RESTARTS = Counter("qvdnode_embedded_database_restarts_total", "Starts after the server died")

START_LIMIT_S: Final = 60.0
"""Long enough to recover after a crash."""
STOP_LIMIT_S: Final = 20.0
BACK_OFF_S: Final = (0.1, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
STEADY_S: Final = 60.0
"""After this uptime the server has recovered, and the back-off is reset."""
POLL_S: Final = 0.02
RESERVE_EVERY_S: Final = 1.0
"""How often free space and the disk reserve are checked."""
LOG_MAX_BYTES: Final = 1_048_576
SOCKETS: Final = Path("/run")
EXTRA_CONNECTIONS: Final = 7
"""Beside the node's own: a backup, an administrator, the superuser's reserve, a listener."""


class EmbeddedPostgres:
    """One PostgreSQL under `pg/` of a state folder."""

    def __init__(self, settings: DatabaseSettings, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._folder = settings.state_dir / "pg"
        self._data = self._folder / "data"
        # a socket's path has at most 107 bytes, and the state folder's path may be longer
        name = hashlib.sha256(str(self._data).encode()).hexdigest()[:10]
        self._sockets = SOCKETS / f"qvdnode-pg-{name}"
        self._disk_reserve = DiskReserve(self._folder, settings.reserve_mib)
        self._pid = 0
        self._account: SystemAccount | None = None
        self._binaries: Binaries | None = None
        self.adopted = False
        """Whether the server ran already when `start` was called."""

    @property
    def socket_file(self) -> Path:
        """Where the server listens."""
        return self._sockets / ".s.PGSQL.5432"

    def exists(self) -> bool:
        """Whether a server was ever made here."""
        return data_version(self._data) is not None

    @staticmethod
    def dsn_at(folder: Path) -> str:
        """How a node reaches an embedded server whose socket, or a way to it, is in the folder."""
        return server_config.dsn(folder)

    async def start(self, *, may_restart: bool = True) -> str:
        """Make the server if there is none, start it unless it runs, and return its DSN.

        A server with the configuration of an older program is restarted. Callers beside a running
        node give `may_restart` as False and get HostFailed instead. Raises HostFailed or TimedOut
        with the reason, after undoing its changes.
        """
        account = await ensure_account(self._settings.system_user)
        self._refuse_closed_folders(account)
        try:
            passable_folder(self._folder, account)
        except OSError as error:
            raise HostFailed(f"The folder {self._folder} cannot be used: {error}") from error
        major = data_version(self._data)
        self._account = account
        self._binaries = await usable_by(await find_binaries(major), account, self._folder)
        self.adopted = running_server(self._data) is not None
        if self.adopted and not self._configured_by_us():
            if not may_restart:
                raise HostFailed(
                    "The embedded database was started by an older program: restart the node first."
                )
            await self.stop()
            self.adopted = False
        if major is None:
            await self._init()
        await asyncio.to_thread(self._disk_reserve.release_if_full)
        await self._bring_up()
        async with Rollback() as rollback:
            if not self.adopted:
                rollback.undo(self.stop)
            if major is None or not await self._is_set_up():
                await self._set_up()
            rollback.commit()
        await asyncio.to_thread(self._disk_reserve.create)
        return server_config.dsn(self._sockets)

    async def run(self) -> None:
        """Restart the server when it dies, until cancelled, with growing pauses."""
        deaths = 0
        while True:
            since_s = self._clock.monotonic_s()
            await self._until_gone()
            if self._clock.monotonic_s() - since_s > STEADY_S:
                deaths = 0
            while True:
                pause_s = BACK_OFF_S[min(deaths, len(BACK_OFF_S) - 1)]
                log.warning("embedded_database_died", extra={"pid": self._pid, "pause_s": pause_s})
                await self._pause(pause_s)
                deaths += 1
                await asyncio.to_thread(self._disk_reserve.release_if_full)
                try:
                    await self._bring_up()
                    break
                except FarmError as error:
                    log.warning("embedded_database_not_started", extra={"because": str(error)})
            RESTARTS.inc()

    async def _until_gone(self) -> None:
        while True:
            try:
                async with TimeLimit(RESERVE_EVERY_S):
                    await wait_gone(self._pid)
            except TimeoutError:
                await asyncio.to_thread(self._disk_reserve.update)
            else:
                return

    async def _pause(self, pause_s: float) -> None:
        """Wait that long; if the disk is full, until there is free space."""
        short = await asyncio.to_thread(self._disk_reserve.disk_is_full)
        until_s = self._clock.monotonic_s() + pause_s
        while (left_s := until_s - self._clock.monotonic_s()) > 0:
            await self._clock.sleep(min(left_s, RESERVE_EVERY_S))
            if short and not await asyncio.to_thread(self._disk_reserve.disk_is_full):
                return

    async def stop(self) -> None:
        """Stop the server: a fast shutdown, then an immediate one. Cancel `run` before."""
        if running_server(self._data) is not None:
            for mode in ("fast", "immediate"):
                limit = f"{STOP_LIMIT_S:.0f}"
                finished = await self._as_account(
                    "pg_ctl", "stop", "-D", self._data, "-m", mode, "-w", "-t", limit, check=False
                )
                if finished == 0:
                    break
        shutil.rmtree(self._sockets, ignore_errors=True)

    def _refuse_closed_folders(self, account: SystemAccount) -> None:
        if (closed := closed_folder(self._folder.parent, account)) is not None:
            raise HostFailed(
                f"The folder {closed} is closed to the account {account.name}, which runs the "
                f"embedded database below it: `chmod o+x {closed}`, or choose another state_dir."
            )

    async def _init(self) -> None:
        staging = self._data.with_name("data.new")
        shutil.rmtree(staging, ignore_errors=True)
        log.info("embedded_database_made", extra={"folder": str(self._data)})
        try:
            own_folder(staging, self._known()[0])
            await self._as_account(
                "initdb", "-D", staging, "-U", server_config.SUPERUSER, "-E", "UTF8", "--locale=C",
                "--auth-local=peer", "--auth-host=reject", "--wal-segsize=4", "--no-instructions",
            )  # fmt: skip
            staging.rename(self._data)
        except (FarmError, OSError) as error:
            raise HostFailed(
                f"The embedded database cannot be made in {self._folder}: {error}"
            ) from error
        finally:
            shutil.rmtree(staging, ignore_errors=True)

    async def _bring_up(self) -> None:
        """Adopt the running server or launch one; returns when it accepts statements."""
        if running_server(self._data) is None:
            await self._launch()
        try:
            async with TimeLimit(START_LIMIT_S):
                while (server := running_server(self._data)) is None or server.status != READY:
                    await self._clock.sleep(POLL_S)
        except TimeoutError as error:
            raise TimedOut(
                f"The embedded database is not ready after {START_LIMIT_S:g} s; see "
                f"{self._log_file}."
            ) from error
        self._pid = server.pid
        log.info("embedded_database_ready", extra={"pid": server.pid, "adopted": self.adopted})

    async def _launch(self) -> None:
        account, binaries = self._known()
        try:
            self._prepare(account, binaries)
        except OSError as error:
            raise HostFailed(
                f"The embedded database cannot be configured in {self._folder}: {error}"
            ) from error
        # The server inherits pg_ctl's streams, so a pipe would never reach its end.
        files = server_config.files_to_use(self._config)
        options = " ".join(f"-c {name}={shlex.quote(str(path))}" for name, path in files.items())
        starting = account.command(
            binaries.program("pg_ctl"), "start", "-D", self._data, "-l", self._log_file, "-s", "-w",
            "-t", f"{START_LIMIT_S:.0f}", "-o", options,
        )  # fmt: skip
        if await exit_code(starting, limit_s=START_LIMIT_S + 5) != 0:
            raise HostFailed(f"The embedded database does not start: {self._log_tail()}")

    def _prepare(self, account: SystemAccount, binaries: Binaries) -> None:
        remove_stale_pid_file(self._data)
        own_folder(self._sockets, account)
        conf = server_config.postgresql_conf(
            binaries.major,
            self._sockets,
            self._settings.connections_max + self._settings.lent_connections + EXTRA_CONNECTIONS,
        )
        passable_folder(self._config, account)
        for name, content in (
            ("postgresql.conf", conf),
            ("pg_hba.conf", server_config.HBA),
            ("pg_ident.conf", server_config.ident(account.name)),
        ):
            replace_file(self._config / name, content.encode(), mode=0o644)
        if self._log_file.exists() and self._log_file.stat().st_size > LOG_MAX_BYTES:
            self._log_file.unlink()
        if not self._log_file.exists():
            with new_file(self._log_file) as log_file:
                os.fchown(log_file.fileno(), account.uid, account.gid)

    def _configured_by_us(self) -> bool:
        """Whether the server that runs was started with our configuration files."""
        with GuestFolder(self._data) as data:
            said = data.read("postmaster.opts", limit=LOG_MAX_BYTES) or b""
        files = server_config.files_to_use(self._config)
        return all(f"{name}={path}".encode() in said for name, path in files.items())

    async def _set_up(self) -> None:
        """Create role and database, or give the role what an older program created."""
        await self._as_superuser(server_config.MAINTENANCE_DATABASE, server_config.SET_UP_ROLE)
        maintenance = server_config.MAINTENANCE_DATABASE
        if not await self._as_superuser(maintenance, server_config.HAS_DATABASE):
            await self._as_superuser(maintenance, server_config.MAKE_DATABASE)
        await self._as_superuser(server_config.DATABASE, server_config.SET_UP_DATABASE)

    async def _is_set_up(self) -> bool:
        """Whether role and database are set up; quicker than to repeat the setup."""
        try:
            connection = await asyncpg.connect(
                server_config.dsn(self._sockets), timeout=START_LIMIT_S
            )
            try:
                return bool(await connection.fetchval(server_config.IS_SET_UP))
            finally:
                await connection.close()
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
            return False  # the setup then reports the error

    async def _as_superuser(self, database: str, statements: str) -> str:
        account, binaries = self._known()
        dsn = server_config.dsn(self._sockets, database, server_config.SUPERUSER)
        options = ("--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "-v", "ON_ERROR_STOP=1")
        argv = account.command(binaries.program("psql"), dsn, *options, "-c", statements)
        done = await run(argv, limit_s=START_LIMIT_S, check=False)
        if done.returncode != 0:
            raise HostFailed(f"The embedded database is not usable: {done.stderr_tail()}")
        return done.stdout.decode().strip()

    async def _as_account(self, program: str, *args: str | Path, check: bool = True) -> int:
        account, binaries = self._known()
        argv = account.command(binaries.program(program), *args)
        return (await run(argv, limit_s=START_LIMIT_S + 5, check=check)).returncode

    def _known(self) -> tuple[SystemAccount, Binaries]:
        if self._account is None or self._binaries is None:
            raise HostFailed("The embedded database has not been started.")
        return self._account, self._binaries

    @property
    def _config(self) -> Path:
        return self._folder / "conf"

    @property
    def _log_file(self) -> Path:
        return self._folder / "server.log"

    def _log_tail(self) -> str:
        if not self._log_file.exists():
            return f"see {self._log_file}"
        lines = self._log_file.read_text(errors="replace").splitlines()[-20:]
        fatal = [line for line in lines if "FATAL" in line or "PANIC" in line]
        return " / ".join(fatal or lines[-3:])[-400:]
