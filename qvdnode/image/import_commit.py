"""Makes a commit of an import that was unpacked and checked, in the unpacking child. Blocks."""

import shutil
from dataclasses import dataclass
from pathlib import Path

from qvdnode.image.core.refs import MAIN, Ref
from qvdnode.image.store.branches import Branches
from qvdnode.image.store.repository import About, Repository, told
from qvdnode.image.store.tree_reader import Progress, Source, TreeReader
from qvdnode.image.versions import VersionCommit, write_commit
from qvdnode.runtime.clock import SystemClock


@dataclass(frozen=True, slots=True)
class Destination:
    """Where an import goes, as given to the child."""

    store: Path
    image: str
    note: str
    parent: str | None = None
    """The commit before it; where the branch main of the store is, if left out."""


def commit(staging: Path, destination: Destination, progress: Progress) -> str:
    """Move `staging`/rootfs into the store, and let `staging` name the commit.

    Returns the commit's name. Raises BadImage, HostFailed.
    """
    clock = SystemClock()
    store = Repository(destination.store)
    store.prepare()
    root = staging / "rootfs"
    with told("the unpacked image cannot be read"):
        content = TreeReader(store, Source(root, move=True), progress).read()
    branch = Ref(destination.image, MAIN)
    parent = destination.parent or Branches(store, lambda: 0).get(branch)
    about = About(
        author="import",
        made_at=int(clock.now().timestamp()),
        message=destination.note,
        source="tar",
        parents=() if parent is None else (parent,),
    )
    name = store.publish(
        content, about, lambda name: write_commit(staging, VersionCommit(destination.image, name))
    )
    with told("what is left of the unpacked image cannot be removed"):
        shutil.rmtree(root)
    return name
