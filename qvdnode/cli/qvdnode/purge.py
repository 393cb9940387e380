"""`qvdnode purge`: removes the state folders of demos and tests, images and homes included."""

import asyncio
import os
import pwd
import sys
from dataclasses import replace
from fnmatch import fnmatch
from pathlib import Path
from typing import Annotated, Final

import typer

from qvdnode.cli.examples import examples
from qvdnode.cli.exit_codes import ExitCode
from qvdnode.cli.plain_values import size
from qvdnode.daemon.state_lock import StateLock
from qvdnode.db.settings import DatabaseSettings
from qvdnode.host import id_reservations, mounts, process
from qvdnode.host.lxc_locks import remove_locks
from qvdnode.host.trusted_path import PathUse, require, without_links
from qvdnode.image.guest_folders import DELETE_LIMIT_S, delete_tree
from qvdnode.image.layout import Layout
from qvdnode.image.overlay import OverlayRootfs
from qvdnode.image.settings import ImageSettings
from qvdnode.model.errors import Conflict, Forbidden, Invalid
from qvdnode.model.plurals import counted

EXAMPLES: Final = examples(
    "qvdnode purge --state-dir /var/lib/qvdnode-demo",
    "qvdnode purge --state-dir /var/lib/qvdnode-demo --yes",
)
MARKS: Final = frozenset({"node.lock", "images", "demo"})
"""A folder with none of these was never anybody's state folder."""
OURS: Final = (
    "admin.token", "demo", "docker", "farm", "homes", "images", "kvm", "lxc", "node.json",
    "node.lock", "nodes",
    "past-starts", "pg", "run", "state", "tls", "vms", "node.toml", "*.log", "build-*", "image-*",
)  # fmt: skip
"""All that nodes, demos and tests put right into theirs; anything else belongs to somebody."""


def purge_command(
    state_dir: Annotated[
        list[Path],
        typer.Option("--state-dir", metavar="DIR", help="What to remove; may be repeated."),
    ],
    *,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask, for scripts.")] = False,
) -> None:
    """Remove state folders and all that is kept in them, homes too.

    Tells first what is in each, and asks for the folder's name to be typed.
    """
    if os.geteuid() != 0:
        raise Forbidden("Purge removes what root made: run it as root.")
    removed = False
    for folder in state_dir:
        if not os.path.lexists(folder):  # not by following a link that may be somebody else's
            typer.echo(f"nothing to remove at {folder}")
            continue
        asyncio.run(_purge(without_links(folder), yes=yes))
        typer.echo(f"removed {folder}")
        removed = True
    if removed and (account := _account()) is not None:
        typer.echo(
            f"the account {account} stays, since other nodes of this host may run their database as"
            f" it; with none left, userdel {account} removes it"
        )


def _account() -> str | None:
    """The account of embedded databases, if there is one. Who else needs it, nobody knows."""
    name = DatabaseSettings().system_user
    try:
        return pwd.getpwnam(name).pw_name
    except KeyError:
        return None


def require_node_folder(folder: Path) -> None:
    """Raise Invalid for a folder that holds what no node makes, such as /etc or somebody's home."""
    names = sorted(entry.name for entry in folder.iterdir())
    strange = [name for name in names if not any(fnmatch(name, ours) for ours in OURS)]
    if strange:
        raise Invalid(
            f"{folder} is not the state folder of a node alone, since it holds {strange[0]}; "
            "nothing was removed"
        )
    if names and MARKS.isdisjoint(names):
        raise Invalid(f"{folder} is not the state folder of a node; nothing was removed")


async def _purge(folder: Path, *, yes: bool) -> None:
    require(folder, PathUse.OWN_FOLDER)
    require_node_folder(folder)
    with StateLock(folder):
        if await asyncio.to_thread(id_reservations.holds_any, folder):
            raise Conflict(
                f"desktops of {folder} still run: start its node with node.stop_guests = true and"
                " stop it, then purge once more"
            )
        await _ask(folder, yes=yes)
        rootfs = OverlayRootfs(replace(ImageSettings(), state_dir=folder))
        try:
            await rootfs.sweep(())
        finally:
            rootfs.close()
        left = mounts.under(folder)
        if left:
            raise Conflict(
                f"{left[0]} is still mounted: end what uses it (qvdnode demo cleans up after a "
                "crash when it is started again), then purge once more"
            )
        await delete_tree(folder)
        remove_locks(folder / "lxc")


async def _ask(folder: Path, *, yes: bool) -> None:
    """Tell what would be lost, and return if that is wanted; else the command ends."""
    typer.echo(await _told(folder), err=True)
    if yes:
        return
    if not sys.stdin.isatty():
        raise Invalid(
            f"There is no terminal to ask at, so {folder} stays: add --yes to remove it without"
            " being asked."
        )
    typer.echo(f"To remove all of it, type the folder's name, {folder.name}: ", err=True, nl=False)
    if sys.stdin.readline().strip() != folder.name:
        typer.echo("That is not its name; nothing was removed.", err=True)
        raise typer.Exit(ExitCode.FAILED)


async def _told(folder: Path) -> str:
    """What is in a state folder, for a person."""
    homes = Layout(folder).homes
    users = home_owners(homes)
    parts = [f"{size(await _taken_bytes(folder))} in all"]
    if users:
        owned = f"the homes of {counted(len(users), 'user')}"
        parts.insert(0, f"{owned} ({size(await _taken_bytes(homes))})")
    return f"{folder} holds {', '.join(parts)}."


def home_owners(homes: Path) -> set[str]:
    """The ids of the users who have a home there, as a folder, in a file, or both."""
    if not homes.is_dir():
        return set()
    names = {entry.name.removesuffix(".img") for entry in homes.iterdir()}
    return {name for name in names if name.isdecimal()}


async def _taken_bytes(folder: Path) -> int:
    """What a folder takes on its disk; du finds its way however deep a user has nested a home."""
    done = await process.run(["du", "-skx", "--", folder], check=False, limit_s=DELETE_LIMIT_S)
    kib = done.stdout.split(b"\t")[0].strip()
    return int(kib) * 1024 if kib.isdigit() else 0
