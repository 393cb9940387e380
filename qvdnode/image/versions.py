"""Where each version of an image is: a commit of the store, or a plain folder of older nodes.

images/ID/VERSION/commit    which commit it is, as JSON; or
images/ID/VERSION/rootfs    the root itself
vms/VM/GENERATION/image     a guest's lease: the version and the commit it runs on

Everything blocks.
"""

import json
from collections.abc import Collection, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Final

from qvdnode.host.mounts import Lower
from qvdnode.image.core import commit as commits
from qvdnode.image.core.commit import is_name
from qvdnode.image.core.quota_projects import QuotaProjects
from qvdnode.image.core.refs import MAIN, Ref
from qvdnode.image.kept.disks import KeptDisks
from qvdnode.image.layout import STAGING_PREFIX, GuestFolders, Layout
from qvdnode.image.settings import ImageSettings, VersionMounts
from qvdnode.image.store.branches import Branches
from qvdnode.image.store.collection import GRACE_S, Collected, Plan, collect
from qvdnode.image.store.mount_probe import MountMode
from qvdnode.image.store.mounting import CommitMounts
from qvdnode.image.store.repository import Repository
from qvdnode.model.errors import BadImage, Conflict, HostFailed, NotFound
from qvdnode.model.ids import ImageId
from qvdnode.model.image_commit import CommitRecord
from qvdnode.runtime.clock import Clock, SystemClock
from qvdnode.runtime.safe_files import replace_file

COMMIT: Final = "commit"
REFLOG_S: Final = 14 * 24 * 3600
"""How long a branch can be set back to where it was."""


@dataclass(frozen=True, slots=True)
class VersionCommit:
    """What a version is made of."""

    image: str
    """The image's name."""
    commit: str


@dataclass(frozen=True, slots=True)
class Lease:
    """What a guest runs on."""

    image_id: int
    version: int
    commit: str | None
    """None where it runs on a plain folder."""


class ImageVersions:
    """The versions of the images of one node."""

    def __init__(self, settings: ImageSettings, clock: Clock | None = None) -> None:
        self._layout = Layout(settings.state_dir)
        self.store = Repository(self._layout.store)
        """Commits, manifests and objects."""
        self._clock = clock or SystemClock()
        self.branches = Branches(self.store, self._now)
        """Branches and tags."""
        self.mounts = CommitMounts(
            self.store, self._layout.image_mounts, self._in_use, _forced(settings.version_mounts)
        )
        """Mounts of commits."""
        self.kept = KeptDisks(self._layout, self.store, QuotaProjects(settings.quota_project_base))
        """What desktops changed, where it is kept."""

    def commit_of(self, image_id: ImageId, version: int) -> VersionCommit | None:
        """The commit of a version, or None where it is none; raises HostFailed."""
        return read_commit(self._layout.image_root(image_id, version).parent)

    def has(self, image_id: ImageId, version: int) -> bool:
        """Whether this node can start desktops on a version; raises HostFailed."""
        found = self.commit_of(image_id, version)
        if found is not None:
            return self.store.places.commit(found.commit).is_file()
        return self._layout.image_root(image_id, version).is_dir()

    def take(self, image_id: ImageId, version: int, made: VersionCommit) -> bool:
        """Note a version whose commit is in the store already; False where it is not."""
        with self._kept_from_collection():
            if not self.store.places.commit(made.commit).is_file():
                return False
            self.point(image_id, version, made)
        self.note(image_id, version)
        return True

    def point(self, image_id: ImageId, version: int, made: VersionCommit) -> None:
        """Let a version be that commit; from then on no collection removes it."""
        folder = self._layout.image_root(image_id, version).parent
        self.store.files.make_folder(folder)
        write_commit(folder, made)

    def note(self, image_id: ImageId, version: int) -> None:
        """Give a version that another node made its tag in this node's store."""
        made = self.commit_of(image_id, version)
        if made is None:
            return
        tag, branch = Ref(made.image, str(version), tag=True), Ref(made.image, MAIN)
        move = partial(self.branches.move, who="node", why=f"version {version} of another node")
        with suppress(Conflict):  # somebody notes it just now
            if self.branches.get(tag) is None:
                move(tag, old=None, new=made.commit)
            if self.branches.get(branch) is None:
                move(branch, old=None, new=made.commit)

    def lineage(self, commit: str, known: Collection[str] = ()) -> list[CommitRecord]:
        """A commit and those before it that this node has, without the known ones.

        Raises NotFound, BadImage, HostFailed.
        """
        found: dict[str, CommitRecord] = {}
        waiting = [commit]
        while waiting:
            name = waiting.pop()
            if name in found or name in known:
                continue
            try:
                made = self.store.commit(name)
            except NotFound:
                if name == commit:
                    raise
                continue  # made on another node, which has told of it
            found[name] = CommitRecord(name, made.parents, commits.encode(made))
            waiting.extend(made.parents)
        return list(found.values())

    def acquire(
        self, folders: GuestFolders, image_id: ImageId, version: int, commit: str | None = None
    ) -> Lower:
        """Note that a guest uses a version, and give its layers; raises BadImage, HostFailed.

        With `commit` it runs on that one instead. The lease ends with the guest's folder.
        """
        with self._kept_from_collection():
            lower = commit or self._lower(image_id, version)
            leased = None if isinstance(lower, Lower) else lower
            _write(folders.lease, asdict(Lease(int(image_id), version, leased)))
        return lower if isinstance(lower, Lower) else self.mounts.lower(lower)

    @contextmanager
    def view(self, image_id: ImageId, version: int) -> Iterator[Path | None]:
        """The root of a version to look into, or None where this node has none."""
        found = self.commit_of(image_id, version)
        if found is not None:
            with self.mounts.view(found.commit) as root:
                yield root
            return
        root = self._layout.image_root(image_id, version)
        yield root if root.is_dir() else None

    def add(self, version_folder: Path, version: int, branch: str = MAIN) -> None:
        """Point a branch of the image and the tag of the version to what lies in the folder."""
        made = read_commit(version_folder)
        if made is None:
            return
        tag = Ref(made.image, str(version), tag=True)
        why = f"version {version}"
        left = self.branches.get(tag)
        if left is not None:  # of a version that the database lost, and whose number is given again
            self.branches.move(tag, old=left, new=None, who="node", why="the number is given again")
        self.branches.move(tag, old=None, new=made.commit, who="node", why=why)
        self.branches.advance(Ref(made.image, branch), made.commit, who="node", why=why)

    def last_version(self, image_id: ImageId) -> int:
        """The greatest version on disk, or 0; a restored database may lack some."""
        folder = self._layout.images / str(image_id)
        return max(
            (int(path.name) for path in folder.glob("*") if path.name.isdecimal()), default=0
        )

    def forget(self, image_id: ImageId) -> None:
        """Delete the branches and tags of an image whose versions are going to be deleted."""
        folders = (self._layout.images / str(image_id)).glob("*")
        names = {found.image for folder in folders if (found := read_commit(folder)) is not None}
        for name in names:
            self.branches.drop_image(name, who="node", why="the image was deleted")

    def runs_on(self, image_id: ImageId) -> bool:
        """Whether any guest of this node, also of an earlier process, has a lease of an image."""
        return any(lease.image_id == image_id for lease in self.leases().values())

    def leases(self) -> dict[Path, Lease]:
        """What each guest runs on, by its folder; raises HostFailed for one that is unreadable."""
        found = {}
        for path in self._layout.vms.glob(f"*/*/{GuestFolders.LEASE}"):
            facts = _read(path)
            if facts is not None:
                found[path.parent] = _lease(path, facts)
        return found

    def pinned(self) -> set[str]:
        """The commits that versions, and imports under way, need; raises HostFailed."""
        images = self._layout.images
        folders = [*images.glob("[0-9]*/[0-9]*"), *images.glob(f"{STAGING_PREFIX}*")]
        return {found.commit for path in folders if (found := read_commit(path)) is not None}

    def roots(self) -> set[str]:
        """All commits that must stay; raises HostFailed."""
        moves = self.branches.logged_since(self._now() - REFLOG_S)
        left = {move.old for move in moves if move.old is not None}
        named = set(self.branches.all().values()) | self.kept.commits()
        return self.pinned() | self.mounts.leased() | named | left

    def collect(self, *, grace_s: int = GRACE_S, dry_run: bool = False) -> Collected:
        """Remove from the store what nothing needs; raises HostFailed, BadImage."""
        return collect(self.store, Plan(self.roots, self._now(), grace_s, dry_run))

    def _now(self) -> int:
        return int(self._clock.now().timestamp())

    def _lower(self, image_id: ImageId, version: int) -> Lower | str:
        found = self.commit_of(image_id, version)
        if found is not None:
            return found.commit
        root = self._layout.image_root(image_id, version)
        if not root.is_dir():
            raise BadImage(
                f"there is no version {version} of image {image_id} at {root.parent}: copy"
                f" {self._layout.images} from a node that has it, or import it again"
            )
        return Lower(root)

    def _kept_from_collection(self) -> AbstractContextManager[None]:
        return self.store.shared() if self.store.exists() else nullcontext()

    def _in_use(self) -> set[str]:
        return {lease.commit for lease in self.leases().values() if lease.commit is not None}


def read_commit(version_folder: Path) -> VersionCommit | None:
    """The commit that a version's folder names, or None where it names none; raises HostFailed."""
    path = version_folder / COMMIT
    facts = _read(path)
    if facts is None:
        return None
    commit, image = facts.get("commit"), facts.get("image")
    if not isinstance(commit, str) or not is_name(commit) or not isinstance(image, str):
        raise HostFailed(f"{path} is damaged: it names no commit")
    return VersionCommit(image, commit)


def write_commit(version_folder: Path, made: VersionCommit) -> None:
    """Let a version's folder name a commit; raises OSError."""
    _write(version_folder / COMMIT, asdict(made))


def _lease(path: Path, facts: dict[str, object]) -> Lease:
    image_id, version, commit = facts.get("image_id"), facts.get("version"), facts.get("commit")
    named = commit is None or (isinstance(commit, str) and is_name(commit))
    if type(image_id) is not int or type(version) is not int or not named:
        raise HostFailed(f"{path} is damaged: it does not say what the guest runs on")
    return Lease(image_id, version, commit if isinstance(commit, str) else None)


def _read(path: Path) -> dict[str, object] | None:
    try:
        facts = json.loads(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise HostFailed(f"{path} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise HostFailed(f"{path} is damaged: it is not JSON") from error
    if not isinstance(facts, dict):
        raise HostFailed(f"{path} is damaged: it is not a JSON object")
    return facts


def _write(path: Path, facts: dict[str, object]) -> None:
    try:
        replace_file(path, json.dumps(facts, sort_keys=True).encode("ascii") + b"\n")
    except OSError as error:
        raise HostFailed(f"{path} cannot be written: {error.strerror}") from error


def _forced(wish: VersionMounts) -> MountMode | None:
    return None if wish is VersionMounts.AUTO else MountMode(wish.value)
