"""Saves, checks and restores homes: the steps of `qvdnode backup --homes` and its restore."""

import asyncio
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from qvdnode.host import disk_space
from qvdnode.host.trusted_path import PathUse, trusted
from qvdnode.image.core.home_snapshot import Entry, Head, Kind, Snapshot, newest
from qvdnode.image.core.quota_projects import QuotaProjects
from qvdnode.image.guest_folders import delete_tree
from qvdnode.image.home_backup.access import file_size_mib, lent, path_of, users_with_homes
from qvdnode.image.home_backup.reading import HomeReader
from qvdnode.image.home_backup.store import HomeStore
from qvdnode.image.home_backup.writing import FOLDER, HomeWriter
from qvdnode.image.homes import Homes
from qvdnode.image.layout import Layout
from qvdnode.image.settings import ImageSettings
from qvdnode.image.size_limit import choose
from qvdnode.model.errors import Conflict, FarmError, HostFailed, Invalid, NotFound
from qvdnode.model.ids import Generation, UserId, VmId
from qvdnode.runtime.shield import run_shielded


@dataclass(frozen=True, slots=True)
class Owner:
    """A user's login and tenant."""

    login: str
    tenant: str


@dataclass(frozen=True, slots=True)
class Saved:
    """The result of saving one home."""

    user_id: UserId
    owner: Owner
    files: int = 0
    read_bytes: int = 0
    """Bytes of new or changed files."""
    left_out: tuple[str, ...] = ()
    failure: str = ""
    same: bool = False
    """Whether nothing was stored, since the home had not changed."""


@dataclass(frozen=True, slots=True)
class Checked:
    """The content of a backup, and what of it is damaged."""

    homes: int
    snapshots: int
    blocks: int
    damage: tuple[str, ...]


Progress = Callable[[int, int], None]
"""Called with the files, and the bytes of changed ones, read so far."""
NOBODY: Final = Owner("", "")
RESTORED_MAX: Final = 20
"""Folders with parts of one snapshot in one home."""
NO_GUEST: Final = (VmId(0), Generation(0))
"""The holder of a home while it is restored."""


async def save(
    layout: Layout,
    store: HomeStore,
    owners: Mapping[UserId, Owner],
    moment: str,
    told: Callable[[Saved], None],
) -> None:
    """Save every home of this host; continue with the others if one fails."""
    for user_id in await asyncio.to_thread(users_with_homes, layout):
        owner = owners.get(user_id, NOBODY)
        try:
            size_mib = await asyncio.to_thread(file_size_mib, layout, user_id)
            head = Head(user_id, owner.login, owner.tenant, moment, size_mib)
            async with lent(layout, user_id) as home:
                saved = await run_shielded(asyncio.to_thread(save_home, store, head, home))
        except (FarmError, OSError) as error:
            saved = Saved(user_id, owner, failure=str(error))
        told(saved)


def save_home(
    store: HomeStore,
    head: Head,
    home: int,
    *,
    always: bool = True,
    progress: Progress = lambda _files, _read_bytes: None,
) -> Saved:
    """Add a snapshot of the home in an open folder; raises OSError, FarmError. Blocking.

    Without `always` a home that did not change since its last snapshot gets none, and `saved.same`
    tells so.
    """
    before = _latest(store, head.user_id)
    reader = HomeReader(store, before)
    entries: list[Entry] = []
    try:
        for entry in reader.entries(home):
            entries.append(entry)
            progress(len(entries), reader.read_bytes)
        same = len(before) == len(entries) and all(before.get(e.path) == e for e in entries)
        if always or not same:
            store.add(Snapshot(head, tuple(entries)))
    finally:
        store.forget_pending()
    return Saved(
        UserId(head.user_id),
        Owner(head.login, head.tenant),
        len(entries),
        reader.read_bytes,
        tuple(reader.left_out),
        same=same and not always,
    )


def _latest(store: HomeStore, user_id: int) -> dict[str, Entry]:
    """Return the previous snapshot by path; empty if it is missing or damaged."""
    try:
        snapshot = store.snapshot(user_id, store.times(user_id)[-1])
    except (IndexError, Invalid):
        return {}
    return {entry.path: entry for entry in snapshot.entries}


def check(store: HomeStore) -> Checked:
    """Read the whole backup and set damaged blocks aside, so that the next backup writes them
    again if a home still has their content. Blocking."""
    wanted: dict[str, str] = {}
    damage: list[str] = []
    snapshots = 0
    for user_id in store.users():
        for made_at in store.times(user_id):
            snapshots += 1
            try:
                snapshot = store.snapshot(user_id, made_at)
            except Invalid as error:
                damage.append(str(error))
                continue
            for entry in snapshot.entries:
                for _, digest in entry.blocks:
                    wanted.setdefault(digest, f"{entry.path!r} of user {user_id} ({made_at})")
    for digest, where in wanted.items():
        try:
            store.get(digest)
        except Invalid as error:
            store.set_aside(digest)
            damage.append(f"{error} It belongs to {where}.")
    return Checked(len(store.users()), snapshots, len(wanted), tuple(damage))


def thin_out(store: HomeStore, keep: int) -> int:
    """Remove all but the newest `keep` snapshots of each home; return how many were removed.

    Raises Invalid if a remaining snapshot is damaged, since its blocks are unknown. Blocking.
    """
    return thin_out_to(store, lambda times: times[-keep:])


def thin_out_to(store: HomeStore, kept: Callable[[list[str]], Sequence[str]]) -> int:
    """Remove the snapshots of each home that `kept` does not return of its times; as `thin_out`."""
    gone, wanted = 0, set[str]()
    for user_id in store.users():
        times = store.times(user_id)
        stay = kept(times)
        for made_at in stay:
            wanted |= store.snapshot(user_id, made_at).blocks()
        for made_at in set(times) - set(stay):
            store.remove(user_id, made_at)
            gone += 1
    store.sweep(wanted)
    return gone


def find(store: HomeStore, login: str, tenant: str, at: str) -> Snapshot:
    """Return a user's newest snapshot not after `at`; raises NotFound, Invalid. Blocking.

    A snapshot that cannot be read may be another user's, so it is reported only if nothing else is.
    """
    unreadable: Invalid | None = None
    for user_id in store.users():
        times = store.times(user_id)
        try:
            last = store.snapshot(user_id, times[-1]) if times else None
        except Invalid as error:
            unreadable = unreadable or error
            continue
        if last is not None and (last.head.login, last.head.tenant) == (login, tenant):
            return store.snapshot(user_id, newest(times, at))
    if unreadable is not None:
        raise unreadable
    raise NotFound(f"The backup has no home of {login}@{tenant}.")


async def restore_beside(
    layout: Layout, user_id: UserId, store: HomeStore, snapshot: Snapshot, path: str
) -> str:
    """Restore a path of a snapshot into a new folder of the user's home; return its name.

    Existing files are not changed, so a desktop may use the home meanwhile. Raises NotFound,
    PartGone if there is no home, Conflict, Invalid, HostFailed; then nothing is left.
    """
    entries = snapshot.below(path)
    async with lent(layout, user_id, writable=True) as home:
        name = _free_name(home, f"restored-{snapshot.head.made_at}")
        await _into(home, name, store, entries, os.fstat(home).st_uid)
    return name


def _free_name(home: int, name: str) -> str:
    """The name, with a number if it is taken; raises Conflict when there are many."""
    there = set(os.listdir(home))
    for candidate in (name, *(f"{name}-{number}" for number in range(2, RESTORED_MAX + 1))):
        if candidate not in there:
            return candidate
    raise Conflict(f"There are {RESTORED_MAX} folders {name} already: remove some first.")


async def restore_lost(
    settings: ImageSettings, user_id: UserId, store: HomeStore, snapshot: Snapshot
) -> None:
    """Restore the whole home of a user who has none here; no node may run on the state folder.

    Raises Conflict if there is a home, Invalid, HostFailed and NodeFull; then no home is left.
    """
    layout = Layout(settings.state_dir)
    if layout.home_file(user_id).exists() or (layout.home(user_id) / "home").exists():
        raise Conflict(f"User {user_id} has a home on this node; it was not changed.")
    limit = await asyncio.to_thread(choose, settings)
    homes = Homes(layout, QuotaProjects(settings.quota_project_base))
    size_mib = max(snapshot.head.size_mib, snapshot.needs_mib())
    _require_room(settings.state_dir, snapshot.entries, settings.free_floor_mib)
    try:
        home = await homes.acquire(user_id, NO_GUEST, size_mib, limit)
        folder = os.open(home, FOLDER)
        try:
            writer = HomeWriter(store, folder)
            await run_shielded(asyncio.to_thread(writer.write, snapshot.entries))
        finally:
            os.close(folder)
    except (OSError, FarmError, asyncio.CancelledError) as error:
        await homes.release(user_id, NO_GUEST)
        await delete_tree(layout.home(user_id))
        layout.home_file(user_id).unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise HostFailed(f"The home cannot be restored: {error}.") from error
        raise
    await homes.release(user_id, NO_GUEST)


async def restore_into(folder: Path, store: HomeStore, snapshot: Snapshot, path: str) -> None:
    """Restore a path of a snapshot into a new folder, which only its maker can enter.

    Owners are kept as numbers, set-user-ID and set-group-ID bits are not. Raises as
    `restore_beside`, and HostFailed if the disk has no room for it.
    """
    entries = snapshot.below(path)
    try:
        with trusted(folder.parent, PathUse.SHARED_FOLDER) as place:
            _require_room(folder.parent, entries)
            await _into(place, folder.name, store, entries, None)
    except OSError as error:
        raise HostFailed(f"{folder} cannot be made: {error}.") from error


def _require_room(folder: Path, entries: tuple[Entry, ...], floor_mib: int = 0) -> None:
    """Raise HostFailed if the disk cannot take all blocks: one block may stand in a snapshot many
    times, so that what is restored can be far larger than the backup."""
    needed_mib = sum(len(entry.blocks) for entry in entries if entry.kind is Kind.FILE)
    free_mib = disk_space.free_mib(folder) - floor_mib
    if needed_mib > free_mib:
        raise HostFailed(
            f"the backup holds up to {needed_mib} MiB, and {max(free_mib, 0)} MiB are free for it"
            f" in {folder}"
        )


async def _into(
    place: int, name: str, store: HomeStore, entries: tuple[Entry, ...], owner: int | None
) -> None:
    """Write entries into a new folder: of the home of `owner`, or of the host for None."""
    try:
        os.mkdir(name, 0o700, dir_fd=place)
    except FileExistsError as error:
        raise Conflict(f"{name} is there already: move it away first.") from error
    except OSError as error:
        raise HostFailed(f"{name} cannot be made: {error.strerror}") from error
    try:
        await run_shielded(asyncio.to_thread(_write, place, name, store, entries, owner))
    except (OSError, FarmError, asyncio.CancelledError) as error:
        await delete_tree(path_of(place) / name)
        if isinstance(error, OSError):
            raise HostFailed(f"It cannot be restored: {error}.") from error
        raise


def _write(
    place: int, name: str, store: HomeStore, entries: tuple[Entry, ...], owner: int | None
) -> None:
    folder = os.open(name, FOLDER, dir_fd=place)
    try:
        if os.fstat(folder).st_uid != os.geteuid():  # the user replaced it
            raise Conflict(f"{name} was replaced meanwhile.")
        HomeWriter(store, folder, in_home=owner is not None).write(entries)
        if owner is not None and entries[0].path:  # a part of a home, without the home itself
            os.fchown(folder, owner, owner)
    finally:
        os.close(folder)
