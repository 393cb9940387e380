"""The disks of kept overlays: what each desktop with `overlay: keep` changed outside of its home.

kept/VM.img     the file system, where quota does not limit sizes
kept/VM/        where it is mounted while the desktop runs; core of it in kept/applying.py
kept/VM.json    on which commit the changes are, and of which ids

Everything but `open` and `close` blocks.
"""

import asyncio
import json
import logging
import os
import shutil
from collections import Counter as Tally
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from qvdnode.host import linux_calls, mounts
from qvdnode.image.core.commit import SHORT, is_name
from qvdnode.image.core.manifest import Node
from qvdnode.image.core.quota_projects import QuotaProjects
from qvdnode.image.core.rebase import Decision, Version, rebase, sizes_of
from qvdnode.image.kept.applying import KeptFiles
from qvdnode.image.kept.ownership import shift
from qvdnode.image.kept.reading import OverlayReader
from qvdnode.image.layout import Layout
from qvdnode.image.size_limit import LimitedFolder, SizeLimit
from qvdnode.image.store.repository import Repository, told
from qvdnode.model.errors import BadImage, FarmError, HostFailed, NotFound
from qvdnode.model.guest import IdRange
from qvdnode.model.ids import VmId
from qvdnode.runtime.safe_files import replace_file
from qvdnode.telemetry.metrics import Counter, Histogram

log = logging.getLogger(__name__)

REBASES: Final = Counter(
    "qvdnode_overlay_rebases", "Rebases of kept overlays by outcome: done, failed.", ["outcome"]
)
REBASE_SECONDS: Final = Histogram(
    "qvdnode_overlay_rebase_seconds",
    "Time to move one kept overlay to another version.",
    buckets=(0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30),
)
AT_START: Final = ("run", "tmp")
"""Folders below / that are as in the image at each start, as after a boot."""


@dataclass(frozen=True, slots=True)
class Base:
    """What a kept overlay lies on."""

    commit: str
    ids_start: int
    stays: bool = False
    """Whether it stays on this commit whatever the image does: after an undo."""
    shifting_from: int | None = None
    """While its files are given to other ids: those they had before."""


@dataclass(frozen=True, slots=True)
class Report:
    """What a rebase does, or would do."""

    vm_id: VmId
    old: str
    new: str
    decisions: tuple[Decision, ...] = ()
    problem: str = ""
    """Why it cannot be done."""

    @property
    def looks(self) -> list[Decision]:
        """Those that a person should look at."""
        return [made for made in self.decisions if made.look]

    def counts(self) -> dict[str, int]:
        """How many entries each action has."""
        return dict(sorted(Tally(made.action.value for made in self.decisions).items()))


@dataclass
class _Contents:
    """Reads files of the versions and of one overlay."""

    store: Repository
    upper: Path
    known: dict[bytes, bytes] = field(default_factory=dict)

    def of_image(self, node: Node) -> bytes:
        """The content of a file of either version."""
        return self.store.content(node.payload.decode()) if node.kind == "f" else node.payload

    def of_user(self, path: bytes) -> bytes:
        """The content of a file in the overlay."""
        if path not in self.known:
            with told("an overlay cannot be read"):
                self.known[path] = _read(self.upper, path)
        return self.known[path]


class KeptDisks:
    """The kept overlays of one node."""

    def __init__(self, layout: Layout, store: Repository, projects: QuotaProjects) -> None:
        self._layout = layout
        self._store = store
        self._projects = projects

    async def open(
        self, vm_id: VmId, size_mib: int, limit: SizeLimit, ids: IdRange, wanted: str
    ) -> str:
        """Mount the disk of a desktop that is to start on a commit; returns the one to start on.

        That is an older one when the changes cannot be moved, which is logged. Raises HostFailed,
        BadImage; then `close` must be called.
        """
        await limit.open(self.limited(vm_id, size_mib))
        return await asyncio.to_thread(self._prepare, vm_id, ids, wanted)

    async def close(self, vm_id: VmId) -> None:
        """Unmount the disk of a desktop that has ended; safe to repeat."""
        await asyncio.to_thread(mounts.unmount, self._layout.kept_disk(vm_id))

    def limited(self, vm_id: VmId, size_mib: int) -> LimitedFolder:
        """The disk as a folder of a limited size."""
        return LimitedFolder(
            folder=self._layout.kept_disk(vm_id),
            file=self._layout.kept_file(vm_id),
            project=self._projects.of_root(vm_id),
            size_mib=size_mib,
            kept=True,
        )

    def all(self) -> dict[VmId, Base]:
        """The base of each kept overlay; raises HostFailed for one that cannot be read."""
        return {vm_id: base for vm_id in self._ids() if (base := self.base(vm_id)) is not None}

    def commits(self) -> set[str]:
        """The commits that kept overlays lie on; raises HostFailed."""
        return {base.commit for base in self.all().values()}

    def base(self, vm_id: VmId) -> Base | None:
        """What the overlay of a desktop lies on; None if it has none."""
        path = self._layout.kept_base(vm_id)
        try:
            facts: dict[str, Any] = json.loads(path.read_bytes())
            base = Base(**facts)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise HostFailed(f"{path} cannot be read: {error.strerror}") from error
        except (ValueError, TypeError) as error:
            raise HostFailed(f"{path} is damaged: {error}") from error
        if not is_name(str(facts["commit"])):
            raise HostFailed(f"{path} is damaged: it names no commit")
        return base

    def plan(self, vm_id: VmId, wanted: str, disk: Path) -> Report:
        """What a rebase to a commit would do, with its disk open at that folder.

        What keeps it from being done is in the report. Raises NotFound without an overlay.
        """
        base = self._required(vm_id)
        if base.commit == wanted:
            return Report(vm_id, base.commit, wanted)
        try:
            with told("the overlay cannot be read"):
                decisions = self._decide(disk, base, wanted)
        except FarmError as error:
            return Report(vm_id, base.commit, wanted, problem=str(error))
        return Report(vm_id, base.commit, wanted, tuple(decisions))

    def move(self, vm_id: VmId, wanted: str, disk: Path) -> Report:
        """Move the overlay of a stopped desktop to a commit; as `plan`, and raises HostFailed."""
        report = self.plan(vm_id, wanted, disk)
        if report.problem:
            return report
        with told("the overlay cannot be moved"):
            base = self._moved(vm_id, disk, self._required(vm_id), wanted, report.decisions)
        if base.commit == wanted:
            return report
        return replace(report, decisions=(), problem="it stays where it is; see the node's log")

    def undo(self, vm_id: VmId, disk: Path) -> str:
        """Move the overlay of a stopped desktop back to before its last rebase, and keep it there.

        Returns the commit. Raises NotFound, BadImage, HostFailed.
        """
        base = self._required(vm_id)
        with told("the rebase cannot be undone"):
            files = KeptFiles(disk, IdRange(base.ids_start), self._store)
            self._store.commit(_commit_of_undo(files))
            commit = files.undo()
            self.note(vm_id, replace(base, commit=commit, stays=True))
        return commit

    def release(self, vm_id: VmId) -> None:
        """Let the overlay of a desktop follow its image again; raises NotFound, HostFailed."""
        self.note(vm_id, replace(self._required(vm_id), stays=False))

    def remove(self, vm_id: VmId) -> None:
        """Delete the overlay of a stopped desktop; safe to repeat. Raises HostFailed."""
        with told("the overlay cannot be removed"):
            mounts.unmount(self._layout.kept_disk(vm_id))
            self._layout.kept_base(vm_id).unlink(missing_ok=True)
            self._layout.kept_file(vm_id).unlink(missing_ok=True)
            shutil.rmtree(self._layout.kept_disk(vm_id), ignore_errors=True)

    def _ids(self) -> Iterator[VmId]:
        for path in self._layout.kept.glob("*.json"):
            if path.stem.isdecimal():
                yield VmId(int(path.stem))

    def _required(self, vm_id: VmId) -> Base:
        base = self.base(vm_id)
        if base is None:
            raise NotFound(f"Desktop {vm_id} has no kept overlay on this node.")
        return base

    def note(self, vm_id: VmId, base: Base) -> None:
        """Note what the overlay of a desktop lies on; raises HostFailed."""
        with told("the base of an overlay cannot be noted"):
            replace_file(self._layout.kept_base(vm_id), json.dumps(asdict(base)).encode() + b"\n")

    def _prepare(self, vm_id: VmId, ids: IdRange, wanted: str) -> str:
        disk = self._layout.kept_disk(vm_id)
        base = self.base(vm_id)
        if base is None:
            base = Base(wanted, ids.start)
            self.note(vm_id, base)
        with told("the kept overlay cannot be opened"):
            base = self._moved(vm_id, disk, base, wanted)
            base = self._shifted(vm_id, disk, base, ids)
            for name in AT_START:
                shutil.rmtree(disk / "upper" / name, ignore_errors=True)
            shutil.rmtree(disk / "work", ignore_errors=True)
        return base.commit

    def _moved(
        self,
        vm_id: VmId,
        disk: Path,
        base: Base,
        wanted: str,
        decided: Sequence[Decision] | None = None,
    ) -> Base:
        """The overlay on the wanted commit, or where it was if it cannot be moved."""
        files = KeptFiles(disk, IdRange(base.ids_start), self._store)
        begun = files.staged()
        if begun is not None and (disk / "rebase" / "begun").exists():
            base = self._apply(vm_id, files, base, begun)  # a crash interrupted it
        if base.commit == wanted or base.stays or base.shifting_from is not None:
            return base
        try:
            with REBASE_SECONDS.time(), told("the overlay cannot be moved"):
                decisions = decided or self._decide(disk, base, wanted)
                files.stage(decisions, self._version(wanted), wanted)
        except FarmError as error:
            REBASES.labels("failed").inc()
            files.finish()
            log.warning(
                "overlay_not_rebased",
                extra={"vm": vm_id, "stays_on": base.commit[:SHORT], "because": str(error)},
            )
            return base
        moved = self._apply(vm_id, files, base, wanted)
        REBASES.labels("done").inc()
        report = Report(vm_id, base.commit, wanted, tuple(decisions))
        log.info(
            "overlay_rebased",
            extra={
                "vm": vm_id,
                "from": base.commit[:SHORT],
                "to": wanted[:SHORT],
                "looks": len(report.looks),
                **report.counts(),
            },
        )
        return moved

    def _apply(self, vm_id: VmId, files: KeptFiles, base: Base, commit: str) -> Base:
        files.apply(base.commit)
        moved = replace(base, commit=commit)
        self.note(vm_id, moved)
        files.finish()
        return moved

    def _shifted(self, vm_id: VmId, disk: Path, base: Base, ids: IdRange) -> Base:
        """The overlay with the files of this start's ids."""
        for start in {base.shifting_from, base.ids_start} - {None, ids.start}:
            self.note(vm_id, replace(base, ids_start=ids.start, shifting_from=start))
            for folder in (disk / "upper", disk / "undo"):
                if folder.exists():
                    shift(folder, IdRange(int(str(start))), ids)
        done = replace(base, ids_start=ids.start, shifting_from=None)
        if done != base:
            self.note(vm_id, done)
        return done

    def _decide(self, disk: Path, base: Base, wanted: str) -> list[Decision]:
        if not (disk / "upper").is_dir():
            return []
        old, new = self._version(base.commit), self._version(wanted)
        ids = IdRange(base.ids_start)
        overlay = OverlayReader(self._store, disk / "upper", ids, sizes_of(old, new)).overlay()
        return rebase(old, new, overlay, _Contents(self._store, disk / "upper"))

    def _version(self, commit: str) -> Version:
        return Version(self._store.manifest(self._store.commit(commit).manifest))


def _read(upper: Path, path: bytes) -> bytes:
    """A file of an overlay; a link in it leads nowhere outside of it."""
    root = os.open(upper, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        flags = os.O_RDONLY | os.O_NONBLOCK
        with os.fdopen(linux_calls.open_in_root(root, os.fsdecode(path), flags), "rb") as file:
            return file.read()
    finally:
        os.close(root)


def _commit_of_undo(files: KeptFiles) -> str:
    commit = files.undoes_to()
    if commit is None:
        raise BadImage("there is no rebase to undo")
    return commit
