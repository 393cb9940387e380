"""Mounts commits: once per tree on a host, for as long as somebody uses it. Everything blocks.

image-mounts/MANIFEST/meta   the EROFS image: what guests' roots are made of
image-mounts/MANIFEST/root   the whole tree, read-only: what the node looks into
image-mounts/leases/NAME     a use that is not a guest, with the commit's name in it

A use is noted as a lease before the mount, so that neither a collection nor the end of another use
can take it away; the leases of guests are in their own folders (image/versions.py). A guest's
overlay holds its layers by itself: it lives on when this process ends.
"""

import os
import re
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from qvdnode.host import mounts
from qvdnode.host.mounts import Lower
from qvdnode.image.core import manifest as manifests
from qvdnode.image.core.commit import is_name
from qvdnode.image.store import checkouts
from qvdnode.image.store.mount_probe import Capability, MountMode, probe
from qvdnode.image.store.places import locked
from qvdnode.image.store.repository import Repository, told
from qvdnode.model.errors import Conflict, FarmError, HostFailed, Invalid, NotFound
from qvdnode.runtime.safe_files import replace_file

LEASES: Final = "leases"
VIEW: Final = "view-"
"""Starts the names of uses that end with a scope, and with the process whose number follows."""
_LEASE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


class CommitMounts:
    """The mounts of one store."""

    def __init__(
        self,
        store: Repository,
        root: Path,
        used: Callable[[], set[str]],
        forced: MountMode | None = None,
    ) -> None:
        """`used` gives the commits that guests have leases of; `forced` keeps from probing."""
        self._store = store
        self._root = root
        self._used = used
        self._forced = forced
        self._known: Capability | None = None

    def capability(self) -> Capability:
        """How commits are mounted here; the first call tries it out. Raises HostFailed."""
        if self._known is None:
            if self._forced is MountMode.CHECKOUT:
                self._known = Capability(MountMode.CHECKOUT, because="image.version_mounts says so")
            else:
                with told("mounts cannot be tried"), self._lock():
                    self._store.prepare()
                    self._known = probe(self._store, self._store.work_folder())
                if self._forced is MountMode.EROFS and self._known.mode is not MountMode.EROFS:
                    because, self._known = self._known.because, None
                    raise HostFailed(f"image.version_mounts is erofs, but {because}")
        return self._known

    def lower(self, commit: str) -> Lower:
        """The layers for a guest's root, mounted; the caller has a lease already.

        Raises NotFound, BadImage, HostFailed.
        """
        capability = self.capability()
        manifest = self._store.commit(commit).manifest
        with told(f"the commit {commit} cannot be mounted"), self._lock():
            if capability.mode is MountMode.CHECKOUT:
                return Lower(self._checkout(manifest))
            return self._meta(manifest, capability)

    @contextmanager
    def view(self, commit: str) -> Iterator[Path]:
        """The whole tree of a commit, read-only, for as long as the scope lasts."""
        name = f"{VIEW}{os.getpid()}-{secrets.token_hex(8)}"
        try:
            yield self.keep(name, commit)
        finally:
            self.release(name)

    def keep(self, name: str, commit: str) -> Path:
        """Mount the tree of a commit until `release` of that name; raises Conflict, Invalid."""
        lease = self._lease(name)
        with told(f"the commit {commit} cannot be mounted"):
            self._store.files.make_folder(lease.parent)
            if lease.exists():
                raise Conflict(f"{name} is mounted already; choose another name or end that first.")
            # A collection takes this lock for itself alone. Under it, the commit is there and the
            # lease is written before any collection looks for leases: it cannot go in between.
            with self._store.shared():
                self._store.commit(commit)
                replace_file(lease, f"{commit}\n".encode("ascii"))
        try:
            return self._tree(commit)
        except FarmError:
            self.release(name)
            raise

    def release(self, name: str) -> None:
        """End a use; the mount goes with the last one. Raises HostFailed."""
        with told("a mount of an image cannot be ended"):
            self._lease(name).unlink(missing_ok=True)
        self.tidy()

    def kept(self) -> dict[str, str]:
        """Uses that are not guests: their names and commits."""
        found = {}
        for lease in sorted((self._root / LEASES).glob("[!.]*")):
            with suppress(FileNotFoundError):
                commit = lease.read_text(encoding="ascii", errors="replace").strip()
                if is_name(commit):
                    found[lease.name] = commit
        return found

    def path(self, commit: str) -> Path:
        """Where the tree of a commit is seen while it is kept; raises NotFound."""
        manifest = self._store.commit(commit).manifest
        if self.capability().mode is MountMode.CHECKOUT:
            return self._store.places.checkout(manifest)
        return self._root / manifest / "root"

    def leased(self) -> set[str]:
        """The commits that anybody uses; a collection keeps them. Raises HostFailed."""
        return self._used() | set(self.kept().values())

    def mounted(self) -> list[str]:
        """The manifests that are mounted."""
        # From the kernel's table: what an earlier process mounted counts, too.
        points = [p for p in mounts.under(self._root) if p.name == "meta"]
        return sorted(point.parent.name for point in points)

    def tidy(self) -> None:
        """Unmount what nobody uses any more; raises HostFailed."""
        if not self._root.exists():
            return
        with told("mounts of images cannot be removed"), self._lock():
            self._drop_views_of_the_dead()
            self._end_tries_of_the_dead()
            used = set()
            for commit in self.leased():
                with suppress(NotFound):
                    used.add(self._store.commit(commit).manifest)
            for folder in self._root.iterdir():
                if is_name(folder.name) and folder.name not in used:
                    self._unmount(folder)

    def _end_tries_of_the_dead(self) -> None:
        # Under the lock nobody tries how to mount, so these are of a process that was killed then.
        work = self._store.places.tmp
        for point in sorted(mounts.under(work), reverse=True):  # `root` lies on `meta`
            if point.parent.parent == work:
                mounts.unmount(point)

    def _drop_views_of_the_dead(self) -> None:
        # A view ends with its scope, but not when its process was killed. A process that got the
        # same number keeps the mount until it ends as well, which does no harm.
        for name in self.kept():
            pid = name.removeprefix(VIEW).partition("-")[0]
            if name.startswith(VIEW) and not Path("/proc", pid).exists():
                (self._root / LEASES / name).unlink(missing_ok=True)

    def _tree(self, commit: str) -> Path:
        lower = self.lower(commit)
        if lower.data is None:
            return lower.folder
        with told(f"the commit {commit} cannot be mounted"), self._lock():
            root = lower.folder.parent / "root"
            # The lock makes two starts of one tree mount it once.
            if not mounts.is_mounted(root):
                root.mkdir(mode=0o700, exist_ok=True)
                mounts.read_only_overlay(lower, root)
            return root

    def _meta(self, manifest: str, capability: Capability) -> Lower:
        meta = self._root / manifest / "meta"
        if not mounts.is_mounted(meta):
            image = self._store.places.erofs(manifest)
            if not image.exists():
                tree = manifests.decode(self._store.manifest(manifest))
                self._store.write_metadata(manifest, tree)
            self._store.files.make_folder(meta)
            mounts.erofs(image, meta)
        return Lower(meta, self._store.places.objects, capability.options)

    def _checkout(self, manifest: str) -> Path:
        done = self._store.places.checkout(manifest)
        if done.exists():
            return done
        tree = manifests.decode(self._store.manifest(manifest))
        return checkouts.build(self._store, manifest, tree)

    def _unmount(self, folder: Path) -> None:
        for name in ("root", "meta"):
            mounts.unmount(folder / name)
            with suppress(FileNotFoundError):
                (folder / name).rmdir()
        folder.rmdir()

    def _lease(self, name: str) -> Path:
        if _LEASE.fullmatch(name) is None:
            raise Invalid(
                f"{name!r} is not a name for a checkout: use letters, digits, dots and dashes",
                field="name",
            )
        return self._root / LEASES / name

    @contextmanager
    def _lock(self) -> Iterator[None]:
        self._store.files.make_folder(self._root)
        with locked(self._root / ".lock", exclusive=True):
            yield
