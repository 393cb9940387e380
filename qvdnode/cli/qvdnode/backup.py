"""`qvdnode backup` and `qvdnode restore`: the database of a node or farm, and homes."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Annotated, Final

import typer

from qvdnode.auth.operators import Operators
from qvdnode.cli.config_file import ConfigFile, chosen, told
from qvdnode.cli.examples import examples
from qvdnode.cli.number_options import whole
from qvdnode.cli.qvdnode import home_backup
from qvdnode.daemon import state_folder
from qvdnode.daemon.config import Config
from qvdnode.daemon.first_token import ensure_working_token
from qvdnode.daemon.load import load
from qvdnode.daemon.opening import open_database
from qvdnode.daemon.peers import database_address, farm_files, forget_other_farm
from qvdnode.daemon.state_lock import StateLock
from qvdnode.db.api_tokens import ApiTokens
from qvdnode.db.backup import backup
from qvdnode.db.backup_archive import Manifest, open_archive
from qvdnode.db.restore import restore
from qvdnode.model.errors import Invalid, NotFound
from qvdnode.model.plurals import counted
from qvdnode.runtime.clock import Clock, SystemClock
from qvdnode.runtime.safe_files import replace_file

BACKUP_EXAMPLES: Final = examples(
    "qvdnode backup --to /srv/backup/monday.tar --config /etc/qvdnode/qvdnode.toml",
    "qvdnode backup --to /srv/backup/whole.tar --identity",
    "qvdnode backup --homes /srv/backup/homes --keep 14",
    "qvdnode backup --homes /srv/backup/homes --verify",
)
RESTORE_EXAMPLES: Final = examples(
    "qvdnode restore --from /srv/backup/monday.tar --config /etc/qvdnode/qvdnode.toml",
    "qvdnode restore --from /srv/backup/whole.tar --identity --force",
    "qvdnode restore --from /srv/backup/homes --home alice --path Documents/thesis.odt",
    "qvdnode restore --from /srv/backup/homes --home alice --at 2026-11-01 --to /srv/alice",
)

BackupFile = Annotated[
    Path | None, typer.Option("--to", help="File for the database; must not exist yet.")
]
SourceFile = Annotated[
    Path, typer.Option("--from", help="File that `qvdnode backup` wrote; the folder of homes.")
]
HomesFolder = Annotated[
    Path | None,
    typer.Option("--homes", metavar="DIR", help="Folder of the homes' backup, made if need be."),
]
Verify = Annotated[
    bool, typer.Option("--verify", help="Read the homes' backup to its end; save nothing.")
]
Keep = Annotated[
    int, typer.Option(parser=whole(0), metavar="N", help="Keep N backups of each home; 0: all.")
]
HomeLogin = Annotated[
    str | None, typer.Option("--home", metavar="LOGIN", help="Restore from the home of this user.")
]
HomePath = Annotated[
    str, typer.Option("--path", help="A file or folder in the home; else all of it.")
]
Moment = Annotated[
    str, typer.Option("--at", metavar="TIME", help="The last backup until then, as 2026-11-01.")
]
NewFolder = Annotated[
    Path | None, typer.Option("--to", metavar="DIR", help="A new folder, not the user's home.")
]
WithIdentity = Annotated[
    bool, typer.Option("--identity", help="The node's certificate and key too.")
]
Force = Annotated[
    bool, typer.Option("--force", help="Replace what is in the database, and the certificate.")
]


def backup_command(
    to: BackupFile = None,
    config: ConfigFile = None,
    identity: WithIdentity = False,  # noqa: FBT002 - typer's way to say "a flag"
    *,
    homes: HomesFolder = None,
    verify: Verify = False,
    keep: Keep = 0,
) -> None:
    """Copy the database into a file, or this node's homes into a folder; the node may serve.

    Only root may be able to change the folder of either, or, for the file, it is one of everybody's
    that is sticky, as /tmp. A second backup of homes reads and keeps only what is new.
    """
    if to is None and homes is None:
        raise Invalid("Say what to save: the database with --to, homes with --homes, or both.")
    if to is not None:
        _save_database(to.absolute(), config, identity=identity)
    if homes is not None and verify:
        home_backup.check(homes)
    elif homes is not None:
        _run(config, partial(home_backup.save, homes.absolute(), keep))


def _save_database(to: Path, config: Path | None, *, identity: bool) -> None:
    async def work(settings: Config, clock: Clock) -> None:
        _refuse_nothing(settings)
        await asyncio.to_thread(state_folder.secure, settings.node.state_dir)
        files = _identity_files(settings) if identity else {}
        async with open_database(settings, clock, visiting=True, may_restart=False) as db:
            _report("saved", await backup(db, to, files), to)

    _run(config, work)


def restore_command(  # noqa: PLR0913 - one parameter is one option
    source: SourceFile,
    config: ConfigFile = None,
    force: Force = False,  # noqa: FBT002 - as above
    identity: WithIdentity = False,  # noqa: FBT002 - as above
    *,
    home: HomeLogin = None,
    path: HomePath = "",
    at: Moment = "",
    to: NewFolder = None,
) -> None:
    """Put a backup into the database; the node must be stopped, and so every node of a farm.

    A database that was only initialised is replaced; one in which somebody made something needs
    --force. Afterwards the token in the state folder works, made anew if need be.

    With --home it is files of one user, and the node may serve: they are put into a new folder
    restored-TIME of the home, or of your own with --to. Who has no home here gets it back as it
    was, with the node stopped.
    """
    if home is None:
        _restore_database(source, config, force=force, identity=identity)
    else:
        wanted = home_backup.Wanted(source.absolute(), home, path, at, to and to.absolute())
        _run(config, partial(home_backup.restore, wanted))


def _restore_database(source: Path, config: Path | None, *, force: bool, identity: bool) -> None:
    async def work(settings: Config, clock: Clock) -> None:
        await asyncio.to_thread(state_folder.secure, settings.node.state_dir)
        with StateLock(settings.node.state_dir):
            async with open_database(settings, clock, visiting=True) as db:
                _report("restored", await restore(db, source, force=force), source)
                await forget_other_farm(settings, db)
                operators = Operators(ApiTokens(db), clock, settings.auth)
                token = await ensure_working_token(operators, settings.node.state_dir)
                typer.echo(f"admin token    kept in {token}, for root alone")
            if identity:
                _restore_identity(source, settings, force=force)

    _run(config, work)


def _run(config: Path | None, work: Callable[[Config, Clock], Awaitable[None]]) -> None:
    file = chosen(config)
    typer.echo(f"configuration  {told(file)}")

    async def main() -> None:
        await work(load(file, os.environ), SystemClock())

    asyncio.run(main())


def _refuse_nothing(config: Config) -> None:
    """Raise NotFound where no node ever was: an empty backup would look like a good one."""
    data = config.node.state_dir / "pg" / "data"
    dsn, node = database_address(config, farm_files(config).member())
    if not dsn and node is None and not data.is_dir():
        raise NotFound(f"There is no database in {data}; name the node's file with --config.")


def _identity_files(config: Config) -> dict[str, Path]:
    folder = config.node.state_dir / state_folder.IDENTITY
    return {path.name: path for path in sorted(folder.glob("*")) if path.is_file()}


def _restore_identity(source: Path, config: Config, *, force: bool) -> None:
    folder = config.node.state_dir / state_folder.IDENTITY
    folder.mkdir(mode=0o700, exist_ok=True)
    with open_archive(source) as archive:
        for name, content in archive.files():
            target = folder / name
            if target.exists() and not force:
                typer.echo(f"{target} is there already and stays; --force replaces it")
                continue
            replace_file(target, content)


def _report(verb: str, manifest: Manifest, path: Path) -> None:
    rows = sum(table.rows for table in manifest.tables)
    what = f"{counted(rows, 'row')} of {counted(len(manifest.tables), 'table')}"
    typer.echo(f"{verb} {what} ({path})")
