"""`qvdnode backup --homes` and `qvdnode restore --home`: users' files, from command to sentence."""

import asyncio
from dataclasses import dataclass
from pathlib import Path

import typer

from qvdnode.cli.name_lookup import Qualified, split_tenant
from qvdnode.cli.plain_values import size
from qvdnode.daemon import state_folder
from qvdnode.daemon.config import Config
from qvdnode.daemon.opening import open_database
from qvdnode.daemon.state_lock import StateLock
from qvdnode.db.users import Users
from qvdnode.image.core import snapshot_plan
from qvdnode.image.core.home_snapshot import Snapshot
from qvdnode.image.home_backup import store as home_store
from qvdnode.image.home_backup import work
from qvdnode.image.home_backup.store import HomeStore
from qvdnode.image.layout import Layout
from qvdnode.model.errors import HostFailed, NotFound, PartGone
from qvdnode.model.ids import UserId
from qvdnode.model.listing import PAGE_SIZE_MAX, Page
from qvdnode.model.plurals import counted
from qvdnode.runtime.clock import Clock
from qvdnode.wire.plain_text import printable


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be restored."""

    source: Path
    login: str
    path: str
    at: str
    to: Path | None


async def save(folder: Path, keep: int, config: Config, clock: Clock) -> None:
    """Save the homes of this node; raises HostFailed when one of them could not be."""
    await asyncio.to_thread(state_folder.secure, config.node.state_dir)
    owners = await _owners(config, clock)
    moment = snapshot_plan.name_of(clock.now())
    failed: list[work.Saved] = []

    def tell(saved: work.Saved) -> None:
        _tell(saved)
        if saved.failure:
            failed.append(saved)

    with home_store.opened(folder, make=True) as store:
        await work.save(Layout(config.node.state_dir), store, owners, moment, tell)
        if keep:
            gone = await asyncio.to_thread(work.thin_out, store, keep)
            typer.echo(f"removed {counted(gone, 'older backup')}")
    if failed:
        raise HostFailed(f"{counted(len(failed), 'home')} could not be saved; the rest was.")


def check(folder: Path) -> None:
    """Read a backup of homes to its end; raises HostFailed when something of it is lost."""
    with home_store.opened(folder.absolute()) as store:
        found = work.check(store)
    for line in found.damage:
        typer.echo(printable(line))
    if found.damage:
        raise HostFailed(
            f"{counted(len(found.damage), 'part')} of the backup cannot be used. What is still in"
            " the homes is written again by the next one."
        )
    what = f"{counted(found.snapshots, 'backup')} of {counted(found.homes, 'home')}"
    typer.echo(f"whole: {what}, {counted(found.blocks, 'block')}")


async def restore(wanted: Wanted, config: Config, clock: Clock) -> None:
    """Put back what is wanted; raises NotFound, Conflict, Invalid, HostFailed."""
    who = split_tenant(wanted.login)
    with home_store.opened(wanted.source) as store:
        snapshot = await asyncio.to_thread(work.find, store, who.name, who.tenant, wanted.at)
        if wanted.to is not None:
            await work.restore_into(wanted.to, store, snapshot, wanted.path)
            where = str(wanted.to)
        else:
            where = await _into_home(wanted, who, store, snapshot, config, clock)
    typer.echo(f"restored the backup of {snapshot.head.made_at} into {where}")


async def _into_home(
    wanted: Wanted,
    who: Qualified,
    store: HomeStore,
    snapshot: Snapshot,
    config: Config,
    clock: Clock,
) -> str:
    await asyncio.to_thread(state_folder.secure, config.node.state_dir)
    user_id = await _user_id(who, config, clock)
    layout = Layout(config.node.state_dir)
    try:
        name = await work.restore_beside(layout, user_id, store, snapshot, wanted.path)
    except PartGone:
        if wanted.path:
            raise
        with StateLock(config.node.state_dir):
            await work.restore_lost(config.image, user_id, store, snapshot)
        return f"a new home of {wanted.login}"
    return f"the folder {name} in the home of {wanted.login}"


async def _user_id(who: Qualified, config: Config, clock: Clock) -> UserId:
    for user_id, owner in (await _owners(config, clock)).items():
        if (owner.login, owner.tenant) == (who.name, who.tenant):
            return user_id
    raise NotFound(f"There is no user {who.name}@{who.tenant}; name a folder with --to.")


async def _owners(config: Config, clock: Clock) -> dict[UserId, work.Owner]:
    """All users of the farm."""
    owners: dict[UserId, work.Owner] = {}
    async with open_database(config, clock, visiting=True, may_restart=False) as db:
        after: int | str | None = 0
        while after is not None:
            listing = await Users(db).list(Page(PAGE_SIZE_MAX, after))
            owners |= {user.id: work.Owner(user.login, user.tenant) for user in listing.items}
            after = listing.next_after
    return owners


def _tell(saved: work.Saved) -> None:
    who = f"{saved.owner.login}@{saved.owner.tenant}" if saved.owner.login else "unknown user"
    told = f"{who} ({saved.user_id})"
    if saved.failure:
        typer.echo(f"{told}: NOT saved: {printable(saved.failure)}")
        return
    typer.echo(f"{told}: {counted(saved.files, 'file')}, {size(saved.read_bytes)} new")
    for line in saved.left_out:
        typer.echo(f"  {printable(line)}")
