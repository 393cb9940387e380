"""Commits what was changed in a running desktop, on top of the version it started with. Blocks."""

import asyncio
import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from qvdnode.image.core import manifest as manifests
from qvdnode.image.core.guest_accounts import without_user
from qvdnode.image.core.manifest import INLINE_MAX, Kind, Node, Tree
from qvdnode.image.core.refs import Ref
from qvdnode.image.core.tree_merge import ACCOUNTS, merge
from qvdnode.image.layout import GuestFolders, Layout
from qvdnode.image.settings import ImageSettings
from qvdnode.image.store.commit_room import checked, require_room
from qvdnode.image.store.repository import About, Content, told
from qvdnode.image.store.tree_reader import Progress, Source
from qvdnode.image.store.upper_reader import UpperReader
from qvdnode.image.versions import ImageVersions, Lease
from qvdnode.model.errors import BadImage, NotFound
from qvdnode.model.guest import IdRange
from qvdnode.model.ids import VmId
from qvdnode.model.image_commit import CommitRecord, CommitWish

MIB: Final = 1024 * 1024


class DesktopCommit:
    """Makes commits of the desktops of one node."""

    def __init__(self, versions: ImageVersions, settings: ImageSettings) -> None:
        self._versions = versions
        self._store = versions.store
        self._settings = settings
        self._layout = Layout(settings.state_dir)

    def commit(self, vm_id: int, branch: Ref, message: str, author: str, progress: Progress) -> str:
        """Commit the changes of a desktop that runs, and move the branch; returns the name.

        The commit comes after the one that the desktop started with. What belongs to the one
        desktop is left out (core/tree_merge.py). Raises NotFound, Conflict, NodeFull, HostFailed;
        BadImage when a file is changed meanwhile, or for more than an import may have.
        """
        folders, lease, base_name = self._guest(vm_id)
        old = self._versions.branches.get(branch)
        with told(f"desktop {vm_id} cannot be committed"):
            require_room(self._store.places.root, self._settings.free_floor_mib)
            base = self._store.tree(base_name)
            work = self._store.work_folder()
            try:
                content = self._read(folders, base, work, progress)
                about = About(
                    author=author,
                    made_at=self._versions.branches.now(),
                    message=message,
                    source=f"desktop {vm_id} on version {lease.version} of image {lease.image_id}",
                    parents=(base_name,),
                )
                return self._store.publish(
                    content,
                    about,
                    lambda name: self._versions.branches.move(
                        branch, old=old, new=name, who=author, why=message or f"desktop {vm_id}"
                    ),
                )
            finally:
                self._store.files.remove_tree(work)

    def _guest(self, vm_id: int) -> tuple[GuestFolders, Lease, str]:
        for folder, lease in self._versions.leases().items():
            folders = GuestFolders(folder)
            if folder.parent == self._layout.vms / str(vm_id) and folders.upper.is_dir():
                if lease.commit is None:
                    raise BadImage(
                        f"desktop {vm_id} runs on a plain folder: import its image again, and"
                        " start it anew"
                    )
                return folders, lease, lease.commit
        raise NotFound(f"Desktop {vm_id} does not run on this node; only what runs has changes.")

    def _read(self, folders: GuestFolders, base: Tree, work: Path, progress: Progress) -> Content:
        ids = IdRange(folders.upper.stat().st_uid)
        source = Source(folders.upper, work=work, entries_max=self._settings.import_max_entries)
        reader = UpperReader(self._store, source, ids, self._bounded(progress))
        changes, fresh = reader.changes()
        tree = merge(base, changes)
        return self._without_user(tree, fresh, work)

    def _bounded(self, progress: Progress) -> Progress:
        """Refuse what is too large: a file of holes takes nothing of a disk, and hours to read."""
        most_mib = self._settings.import_max_mib

        def step(done: int) -> None:
            if done > most_mib * MIB:
                raise BadImage(f"its files have over {most_mib} MiB (image.import_max_mib)")
            progress(done)

        return checked(self._store.places.root, self._settings.free_floor_mib, step)

    def _without_user(
        self, tree: dict[bytes, Node], fresh: Mapping[str, Path], work: Path
    ) -> Content:
        """Without the account of the desktop's user, and with those that packages have made."""
        found = dict(fresh)
        files = {
            path: self._content(tree[path], found)
            for path in ACCOUNTS
            if path in tree and tree[path].kind in {Kind.FILE, Kind.INLINE}
        }
        for path, content in without_user(files).items():
            tree[path] = self._with_content(tree[path], content, found, work)
        return Content(tree, found)

    def _content(self, node: Node, fresh: Mapping[str, Path]) -> bytes:
        if node.kind == Kind.INLINE:
            return node.payload
        digest = node.payload.decode()
        return fresh[digest].read_bytes() if digest in fresh else self._store.content(digest)

    def _with_content(self, node: Node, content: bytes, fresh: dict[str, Path], work: Path) -> Node:
        owner = (node.mode, node.uid, node.gid, node.mtime_ns, len(content))
        if len(content) <= INLINE_MAX:
            return Node(Kind.INLINE, *owner, content, node.xattrs)
        digest = hashlib.sha256(content).hexdigest()
        if digest not in fresh:
            fresh[digest] = work / f"{digest}.own"
            with self._store.files.open_new(fresh[digest]) as stream:
                stream.write(content)
        made = Node(Kind.FILE, *owner, digest.encode(), node.xattrs)
        manifests.check_node(made)
        return made


class DesktopCommits:
    """Satisfies vm.ports.DesktopChanges with the desktops of one node."""

    def __init__(self, versions: ImageVersions, settings: ImageSettings) -> None:
        self._versions = versions
        self._work = DesktopCommit(versions, settings)

    async def commit(self, vm_id: VmId, wish: CommitWish) -> CommitRecord:
        """As DesktopChanges."""
        return await asyncio.to_thread(self._commit, vm_id, wish)

    def _commit(self, vm_id: VmId, wish: CommitWish) -> CommitRecord:
        branch = Ref(wish.image, wish.branch)
        name = self._work.commit(vm_id, branch, wish.message, wish.author, lambda _done: None)
        return self._versions.lineage(name)[0]
