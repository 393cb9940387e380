"""Snapshots of homes on a schedule, from which users get their files back.

homes/USER.snapshots has those of one user, in the format of a backup of homes: content in blocks by
checksum, so that what two snapshots have in common is stored once. Each file in a snapshot is as it
was at one moment; one that is written all the time is noted as torn.
"""

import asyncio
import logging
from collections import OrderedDict, defaultdict
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Final, TypeVar

from qvdnode.host import disk_space, loop_files
from qvdnode.image.core import home_snapshot, snapshot_plan
from qvdnode.image.core.home_snapshot import Entry, Head, Snapshot
from qvdnode.image.core.snapshot_plan import Keep
from qvdnode.image.free_space import FreeSpaceFloor
from qvdnode.image.home_backup import work
from qvdnode.image.home_backup.access import file_size_mib, lent, users_with_homes
from qvdnode.image.home_backup.store import HomeStore, opened
from qvdnode.image.home_backup.work import Owner
from qvdnode.image.layout import Layout
from qvdnode.image.settings import ImageSettings
from qvdnode.model.errors import FarmError, HostFailed, NotFound, PartGone
from qvdnode.model.ids import UserId
from qvdnode.runtime.clock import Clock
from qvdnode.runtime.shield import run_shielded
from qvdnode.telemetry.metrics import Counter

T = TypeVar("T")
log = logging.getLogger(__name__)

SNAPSHOTS: Final = Counter(
    "qvdnode_home_snapshots", "Snapshots of homes by outcome: made, same, failed.", ["outcome"]
)
LOOK_EVERY_S: Final = 60.0
FACTS_MAX: Final = 10_000
_MIB: Final = 1024 * 1024

OwnerOf = Callable[[UserId], Awaitable[Owner]]
"""Login and tenant of a user; raises FarmError."""


@dataclass(frozen=True, slots=True)
class SnapshotFacts:
    """What a snapshot has."""

    name: str
    files: int
    size_bytes: int

    @property
    def at(self) -> datetime:
        """When it was made."""
        return snapshot_plan.time_of(self.name)


@dataclass(frozen=True, slots=True)
class HomeHistory:
    """The snapshots of one home."""

    snapshots: tuple[SnapshotFacts, ...]
    """Newest first; of a path those in which it is another than in the one before."""
    size_bytes: int
    """What all of them take of the disk."""
    working: str
    """What is being done with them now, for people; empty for nothing."""


class HomeSnapshots:
    """The snapshots of the homes of one node."""

    def __init__(self, settings: ImageSettings, owner_of: OwnerOf, clock: Clock) -> None:
        self._settings = settings
        self.shared = settings.homes_shared
        """Whether other nodes have the same homes, with the same snapshots."""
        self._layout = Layout(settings.state_dir)
        self._floor = FreeSpaceFloor(settings.state_dir, settings.free_floor_mib)
        self._owner_of = owner_of
        self._clock = clock
        self._keep = Keep(
            settings.home_snapshots_hourly,
            settings.home_snapshots_daily,
            settings.home_snapshots_weekly,
        )
        self._every = timedelta(minutes=settings.home_snapshot_minutes)
        self._locks: defaultdict[UserId, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._working: dict[UserId, str] = {}
        self._checked: dict[UserId, tuple[float, int]] = {}
        """When a home was last compared with its snapshot, and the time of its file then."""
        self._facts: OrderedDict[tuple[UserId, str], SnapshotFacts] = OrderedDict()

    async def run(self) -> None:
        """Make the snapshots that are due, one home at a time, until cancelled."""
        while True:
            if self._settings.home_snapshot_minutes:
                await self.make_due()
            await self._clock.sleep(LOOK_EVERY_S)

    async def make_due(self) -> None:
        """Make each snapshot that is due now; a home that fails is logged, and the others go on."""
        for user_id in await asyncio.to_thread(users_with_homes, self._layout):
            if await self._is_due(user_id):
                try:
                    await self.take(user_id, always=False)
                except FarmError as error:
                    extra = {"user": user_id, "because": str(error)}
                    log.warning("home_snapshot_failed", extra=extra)

    async def take(self, user_id: UserId, *, always: bool = True) -> work.Saved:
        """Make a snapshot now; without `always` only if the home has changed.

        Raises NotFound when there is no such home here, Conflict while another process works on its
        snapshots, NodeFull, HostFailed.
        """
        async with self._locks[user_id]:
            try:
                saved = await self._take(user_id, always=always)
            except FarmError:
                SNAPSHOTS.labels("failed").inc()
                raise
            finally:
                self._working.pop(user_id, None)
                await self._note_checked(user_id)
        SNAPSHOTS.labels("same" if saved.same else "made").inc()
        if not saved.same:
            log.info(
                "home_snapshot_made",
                extra={
                    "user": user_id,
                    "files": saved.files,
                    "read_bytes": saved.read_bytes,
                    "left_out": len(saved.left_out),
                },
            )
        return saved

    async def history(
        self, user_id: UserId, path: str = "", limit: int | None = None
    ) -> HomeHistory:
        """The newest snapshots of a home; raises Invalid when one is damaged."""
        return await asyncio.to_thread(self._history, user_id, path, limit)

    async def restore(self, user_id: UserId, path: str = "", at: str = "") -> str:
        """Restore a path as it was at a time into a new folder of the home; return its name.

        Nothing in the home is changed. `at` is a time as people write it. Raises NotFound, Invalid,
        Conflict, HostFailed; then nothing is left.
        """
        moment = snapshot_plan.moment_of(at, self._clock.now())
        async with self._locks[user_id]:
            self._working[user_id] = "A folder is being restored."
            try:
                with _told(), opened(self._existing(user_id)) as store:
                    snapshot = await asyncio.to_thread(_find, store, user_id, moment)
                    return await work.restore_beside(self._layout, user_id, store, snapshot, path)
            finally:
                self._working.pop(user_id, None)

    async def _is_due(self, user_id: UserId) -> bool:
        checked_s, time_ns = self._checked.get(user_id, (None, 0))
        if checked_s is not None:
            if self._clock.monotonic_s() - checked_s < self._every.total_seconds():
                return False
            # The home of a user without desktops is not even mounted.
            if time_ns and time_ns == await asyncio.to_thread(self._file_time_ns, user_id):
                await self._note_checked(user_id)
                return False
        names = await asyncio.to_thread(HomeStore(self._folder(user_id)).times, user_id)
        return self._due_by(names)

    def _due_by(self, names: list[str]) -> bool:
        return snapshot_plan.is_due(names, self._clock.now(), self._every)

    async def _note_checked(self, user_id: UserId) -> None:
        time_ns = await asyncio.to_thread(self._file_time_ns, user_id)
        self._checked[user_id] = (self._clock.monotonic_s(), time_ns)

    def _file_time_ns(self, user_id: UserId) -> int:
        """When the file of a home that nothing uses was last written; 0 in all other cases."""
        file = self._layout.home_file(user_id)
        try:
            return 0 if loop_files.in_use(file) else file.stat().st_mtime_ns
        except OSError:
            return 0

    async def _take(self, user_id: UserId, *, always: bool) -> work.Saved:
        self._working[user_id] = "A snapshot is being made."
        try:
            owner = await self._owner_of(user_id)
        except FarmError:  # the database is away, and the files are as good
            owner = work.NOBODY
        size_mib = await asyncio.to_thread(file_size_mib, self._layout, user_id)
        moment = snapshot_plan.name_of(self._clock.now())
        head = Head(user_id, owner.login, owner.tenant, moment, size_mib)
        with _told():
            async with lent(self._layout, user_id) as home:
                save = partial(self._save, head, home, always=always)
                return await run_shielded(asyncio.to_thread(save))

    def _save(self, head: Head, home: int, *, always: bool) -> work.Saved:
        """Make the snapshot, and room for it by removing older ones; blocks."""
        user_id = UserId(head.user_id)
        self._floor.require("a snapshot of a home")
        while True:
            room_bytes = self._room_bytes(user_id)
            try:
                with opened(self._folder(user_id), make=True, room_bytes=room_bytes) as store:
                    if not always and not self._due_by(store.times(user_id)):
                        return work.Saved(user_id, work.NOBODY, same=True)  # by another node
                    saved = work.save_home(
                        store, head, home, always=always, progress=partial(self._tell, user_id)
                    )
                    if not saved.same:
                        work.thin_out_to(store, lambda names: snapshot_plan.kept(names, self._keep))
                    return saved
            except HostFailed as error:
                if not self._drop_oldest(user_id):
                    raise HostFailed(
                        f"The home of user {user_id} got no snapshot: {error}"
                        " (image.home_snapshots_max_mib, and the free space above"
                        " image.free_floor_mib)."
                    ) from error

    def _room_bytes(self, user_id: UserId) -> int:
        """How much one more snapshot may add."""
        folder = self._folder(user_id)
        used = HomeStore(folder).size_bytes()
        room = self._settings.home_snapshots_max_mib * _MIB - used
        free_mib = disk_space.free_mib(self._layout.homes) - self._settings.free_floor_mib
        return max(0, min(room, free_mib * _MIB))

    def _drop_oldest(self, user_id: UserId) -> bool:
        """Remove the older half of the snapshots; False if there is none."""
        with opened(self._folder(user_id)) as store:
            return work.thin_out_to(store, lambda names: names[(len(names) + 1) // 2 :]) > 0

    def _tell(self, user_id: UserId, files: int, read_bytes: int) -> None:
        self._working[user_id] = (
            f"A snapshot is being made: {files} files, {read_bytes // _MIB} MiB of changes read."
        )

    def _history(self, user_id: UserId, path: str, limit: int | None) -> HomeHistory:
        store = HomeStore(self._folder(user_id))
        names = store.times(user_id)
        found = list(self._found(store, user_id, names if path else _last(names, limit), path))
        return HomeHistory(
            tuple(reversed(_last(found, limit))),
            store.size_bytes() if names else 0,
            self._working.get(user_id, ""),
        )

    def _found(
        self, store: HomeStore, user_id: UserId, names: list[str], path: str
    ) -> Iterator[SnapshotFacts]:
        before = tuple[Entry, ...]()
        for name in names:
            facts = None if path else self._facts.get((user_id, name))
            if facts is None:
                try:
                    snapshot = store.snapshot(user_id, name)
                    entries = snapshot.below(path)
                except NotFound:  # removed meanwhile, or the path was not there
                    before = ()
                    continue
                if path and entries == before:
                    continue
                before = entries
                size_bytes = sum(entry.size for entry in entries)
                facts = SnapshotFacts(name, len(entries), size_bytes)
            if not path:
                self._remember(user_id, facts)
            yield facts

    def _remember(self, user_id: UserId, facts: SnapshotFacts) -> None:
        self._facts[user_id, facts.name] = facts
        if len(self._facts) > FACTS_MAX:
            _ = self._facts.popitem(last=False)

    def _folder(self, user_id: UserId) -> Path:
        return self._layout.home_snapshots(user_id)

    def _existing(self, user_id: UserId) -> Path:
        folder = self._folder(user_id)
        if not HomeStore(folder).times(user_id):
            raise NotFound(
                "There is no snapshot of this home on this node: set image.home_snapshot_minutes,"
                " or make one with `qvd home snapshot`."
            )
        return folder


@contextmanager
def _told() -> Iterator[None]:
    """Say that a home which is not here does not exist: no other part of the program asks."""
    try:
        yield
    except PartGone as error:
        raise NotFound(str(error)) from error


def _last(items: list[T], limit: int | None) -> list[T]:
    return items if limit is None else items[len(items) - min(limit, len(items)) :]


def _find(store: HomeStore, user_id: UserId, moment: str) -> Snapshot:
    try:
        name = home_snapshot.newest(store.times(user_id), moment)
    except NotFound as error:
        raise NotFound(f"The home has no snapshot from {moment} or before.") from error
    return store.snapshot(user_id, name)
