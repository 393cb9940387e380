"""Decides whether one more desktop fits on the disk, by promised space. Pure.

Roots and homes are sparse files or limited by quota, so their current use does not tell how large
they may become. Counted is the full size of the root of each guest that runs or starts, and of each
existing home, whether its user is logged in or not.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from qvdnode.model.disk_share import inodes_of
from qvdnode.model.farm import DesktopOrder
from qvdnode.model.ids import UserId


@dataclass(frozen=True, slots=True)
class Room:
    """An amount of space, and of inodes where they are counted."""

    mib: int
    inodes: int


@dataclass(frozen=True, slots=True)
class Store:
    """A file system with roots or homes of guests in it."""

    folder: str
    device: int
    free_mib: int
    free_inodes: int | None
    """None where the number of inodes is limited by space alone."""
    used: Room
    """Space that guests' roots and homes use now."""


@dataclass(frozen=True, slots=True)
class DiskState:
    """The file systems and homes at one moment."""

    roots: Store
    homes: Store
    """The same as `roots` where both are in one file system."""
    kept: Mapping[UserId, int]
    """The size of each home that exists, in MiB."""
    by_quota: bool
    """Whether sizes are limited by quota, so that guests' inodes are those of the file system."""

    @property
    def stores(self) -> Sequence[Store]:
        """Each file system once."""
        shared = self.roots.device == self.homes.device
        return [self.roots] if shared else [self.roots, self.homes]


@dataclass(frozen=True, slots=True)
class DiskPolicy:
    """How much may be promised."""

    floor_mib: int
    overcommit: float


@dataclass(frozen=True, slots=True)
class StoreFigures:
    """Figures of one file system, for people and metrics."""

    folder: str
    free_mib: int
    capacity_mib: int
    """How much may be promised altogether."""
    promised_mib: int


def capacity(store: Store, policy: DiskPolicy) -> Room:
    """Space of a file system that may be promised: what other files leave, minus the floor."""
    own = max(store.free_mib + store.used.mib - policy.floor_mib, 0)
    inodes = (store.free_inodes or 0) + store.used.inodes
    return Room(int(own * policy.overcommit), int(inodes * policy.overcommit))


def promised(state: DiskState, orders: Collection[DesktopOrder]) -> dict[int, Room]:
    """Return the promised space of each file system, by its device."""
    homes = dict(state.kept)
    for order in orders:
        user = order.user.id
        homes[user] = max(homes.get(user, 0), order.flavour.home_mib)
    sizes: dict[int, list[int]] = {store.device: [] for store in state.stores}
    sizes[state.roots.device] += [order.flavour.disk_mib for order in orders]
    sizes[state.homes.device] += homes.values()
    return {device: _room(found, state) for device, found in sizes.items()}


def _room(sizes: Sequence[int], state: DiskState) -> Room:
    inodes = sum(inodes_of(size) for size in sizes) if state.by_quota else len(sizes)
    return Room(sum(sizes), inodes)


def figures(
    state: DiskState, policy: DiskPolicy, orders: Collection[DesktopOrder]
) -> list[StoreFigures]:
    """Return the figures of each file system."""
    taken = promised(state, orders)
    return [
        StoreFigures(
            store.folder,
            store.free_mib,
            capacity(store, policy).mib,
            taken[store.device].mib,
        )
        for store in state.stores
    ]


def unused_mib(
    state: DiskState, policy: DiskPolicy, orders: Collection[DesktopOrder], device: int
) -> int:
    """Return the promised space of a file system that is not used yet, in MiB."""
    taken = promised(state, orders)
    for store in state.stores:
        if store.device == device:
            return max(round(taken[device].mib / policy.overcommit) - store.used.mib, 0)
    return 0


def refusal(
    state: DiskState,
    policy: DiskPolicy,
    orders: Collection[DesktopOrder],
    wanted: DesktopOrder,
) -> str | None:
    """Why one more desktop does not fit beside `orders`, for a person, or None when it does."""
    before, after = promised(state, orders), promised(state, [*orders, wanted])
    for store in state.stores:
        most, was, will = capacity(store, policy), before[store.device], after[store.device]
        if will.mib > most.mib:
            return _sentence(store, "MiB", will.mib - was.mib, most.mib - was.mib, wanted)
        counted = state.by_quota and store.free_inodes is not None
        if counted and will.inodes > most.inodes:
            return _sentence(
                store, "inodes", will.inodes - was.inodes, most.inodes - was.inodes, wanted
            )
    return None


def _sentence(store: Store, unit: str, more: int, left: int, wanted: DesktopOrder) -> str:
    flavour = wanted.flavour
    return (
        f"This node's disk is promised to others: the desktop may come to need {more} {unit} more"
        f" in {store.folder}, of which {max(left, 0)} are not promised. Try again when a desktop"
        " has ended. An administrator can make room there, remove homes that nobody needs, choose"
        f" less disk_mib ({flavour.disk_mib}) and home_mib ({flavour.home_mib}) in the flavour"
        f" {flavour.name}, or raise image.disk_overcommit, which trusts desktops not to use all."
    )
