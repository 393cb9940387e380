"""Removes from a store what nothing leads to any more. Everything blocks.

Commits, imports, starts of desktops and reads go on meanwhile: only naming objects and taking a
lease wait, for the part of a second in which objects are found and put into quarantine. A commit
that needs an object in quarantine takes it back. What has been there for a while is deleted.
"""

import os
import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from qvdnode.image.core.commit import Commit, is_name
from qvdnode.image.store import checkouts
from qvdnode.image.store.repository import Repository, told
from qvdnode.model.errors import BadImage, NotFound

GRACE_S: Final = 600
"""How long what nothing needs stays in quarantine."""
STALE_S: Final = 24 * 3600
"""Age at which a file of an interrupted write is deleted."""
_DIGEST: Final = re.compile(rb":([0-9a-f]{64}) ")


@dataclass(slots=True)
class Collected:
    """What a collection found; sizes in bytes."""

    commits: int = 0
    objects: int = 0
    object_bytes: int = 0
    """Objects that nothing needs, now in quarantine (or what would be put there)."""
    deleted: int = 0
    deleted_bytes: int = 0
    """Objects deleted after their time in quarantine."""
    waiting: int = 0
    """Objects that stay in quarantine."""
    kept_commits: int = 0
    kept_objects: int = 0


@dataclass(frozen=True, slots=True)
class Plan:
    """How to collect."""

    roots: Callable[[], set[str]]
    """The commits that must stay, with all before them; asked while nobody can add one."""
    now: int
    """Seconds since 1970."""
    grace_s: int = GRACE_S
    dry_run: bool = False


def collect(store: Repository, plan: Plan) -> Collected:
    """Remove what the roots do not need; raises HostFailed, BadImage when a root is damaged."""
    found = Collected()
    if not store.exists():
        return found
    with told("the store cannot be collected"):
        with store.exclusive():
            live = _live(store, plan.roots())
            needed = _needed(store, live)
            found.kept_commits = len(live)
            _sweep_commits(store, live, found, dry_run=plan.dry_run)
            _sweep_objects(store, needed, plan, found)
        if not plan.dry_run:
            _delete_old(store, plan, found)
            _delete_derived(store, {commit.manifest for commit in live.values()})
            store.files.sync_all(store.places.root)
    return found


def _live(store: Repository, roots: set[str]) -> dict[str, Commit]:
    """The commits that roots lead to; a root that is missing keeps nothing."""
    live: dict[str, Commit] = {}
    waiting = sorted(roots)
    while waiting:
        name = waiting.pop()
        if name in live:
            continue
        with suppress(NotFound):
            live[name] = store.commit(name)
            waiting.extend(live[name].parents)
    return live


def _needed(store: Repository, live: dict[str, Commit]) -> set[str]:
    needed: set[str] = set()
    for manifest in {commit.manifest for commit in live.values()}:
        try:
            text = store.manifest(manifest)
        except BadImage as error:
            raise BadImage(
                f"nothing is removed: {error}, so what it needs is not known. qvdnode image verify"
                " tells more"
            ) from error
        needed.update(digest.decode() for digest in _DIGEST.findall(text))
    return needed


def _sweep_commits(
    store: Repository, live: dict[str, Commit], found: Collected, *, dry_run: bool
) -> None:
    kept = {commit.manifest for commit in live.values()}
    # Commits first: one that is there has all that it needs.
    for path in list(store.places.commits.iterdir()):
        if path.name not in live:
            found.commits += 1
            if not dry_run:
                store.files.unlink(path)
    for path in list(store.places.manifests.iterdir()):
        if path.stem not in kept and not dry_run:
            store.files.unlink(path)
            store.files.unlink(store.places.erofs(path.stem))


def _sweep_objects(store: Repository, needed: set[str], plan: Plan, found: Collected) -> None:
    for folder in list(os.scandir(store.places.objects)):
        for entry in list(os.scandir(folder.path)):
            digest = folder.name + entry.name
            if digest in needed:
                found.kept_objects += 1
                continue
            found.objects += 1
            found.object_bytes += _disk_bytes(Path(entry.path))
            if not plan.dry_run:
                os.utime(entry.path, (plan.now, plan.now))
                store.files.rename(Path(entry.path), store.places.quarantined(digest))


def _delete_old(store: Repository, plan: Plan, found: Collected) -> None:
    # Somebody may take an object back meanwhile, which needs the lock; so does this, but shortly.
    for path in list(store.places.quarantine.iterdir()):
        with store.exclusive(), suppress(FileNotFoundError):
            facts = path.stat()
            if facts.st_mtime <= plan.now - plan.grace_s:
                found.deleted += 1
                found.deleted_bytes += facts.st_blocks * 512
                store.files.unlink(path)
            else:
                found.waiting += 1
    for path in list(store.places.tmp.iterdir()):
        with suppress(FileNotFoundError):
            if path.stat().st_mtime <= plan.now - STALE_S:
                if path.is_dir():
                    store.files.remove_tree(path)
                else:
                    store.files.unlink(path)


def _delete_derived(store: Repository, manifests: set[str]) -> None:
    for path in list(store.places.checkouts.iterdir()):
        if is_name(path.name) and path.name not in manifests:
            store.files.remove_tree(path)
    for path in checkouts.unlinked_shapes(store):
        store.files.unlink(path)


def _disk_bytes(path: Path) -> int:
    return path.stat().st_blocks * 512
