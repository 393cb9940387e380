"""Versions, branches and tags of images over the whole farm, and their commits on this node.

What is true of an image is in the database; the content is in the stores of nodes. So any node
answers for all, and fetches what it must look into.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from qvdnode.db.image_refs import ImageRefs, PastMove, RefMove, RefName
from qvdnode.db.images import Images, ImageVersion, NewCommit
from qvdnode.image import tree_check
from qvdnode.image.core import commit as commits
from qvdnode.image.core.commit import Commit
from qvdnode.image.core.commit_log import newest_first
from qvdnode.image.core.farm_revision import FarmView, branch_of, resolve
from qvdnode.image.versions import ImageVersions, VersionCommit
from qvdnode.model.errors import NotFound
from qvdnode.model.farm import Image
from qvdnode.model.ids import ImageId
from qvdnode.model.image_commit import CommitRecord
from qvdnode.vm.ports import ImageSupply


@dataclass(frozen=True, slots=True)
class LogLine:
    """One commit of a log."""

    name: str
    commit: Commit
    names: Sequence[str]
    """What leads to it."""


class FarmImages:
    """The images of the farm, as one node sees and changes them."""

    def __init__(
        self, images: Images, refs: ImageRefs, versions: ImageVersions, supply: ImageSupply
    ) -> None:
        self._images = images
        self._refs = refs
        self._versions = versions
        self._supply = supply

    async def view(self, image: Image, revision: str = "") -> FarmView:
        """What the farm knows; `revision` says which branch's log is needed, if any."""
        numbered = await self._images.versions(image.id)
        refs = await self._refs.all(image.id)
        known = await self._refs.commits(image.id)
        branch = branch_of(revision)
        moves = (
            {} if branch is None else {branch: await self._refs.moves(image.id, RefName(branch))}
        )
        return FarmView(
            image=image.name,
            versions={
                item.version: item.commit_name for item in numbered if item.commit_name is not None
            },
            heads={ref.name: name for ref, name in refs.items() if not ref.tag},
            tags={ref.name: name for ref, name in refs.items() if ref.tag},
            parents={name: record.parents for name, record in known.items()},
            moves={name: [move.old for move in found] for name, found in moves.items()},
        )

    async def resolve(self, image: Image, revision: str) -> str:
        """The commit that a revision means in the farm, or else in this node's own store.

        Raises Invalid, NotFound.
        """
        try:
            return resolve(await self.view(image, revision), revision)
        except NotFound:
            try:
                return await asyncio.to_thread(self._versions.branches.resolve, revision)
            except NotFound:
                pass
            raise

    async def log(self, image: Image, revision: str, limit: int) -> list[LogLine]:
        """A commit and those before it, newest first; raises Invalid, NotFound."""
        view = await self.view(image, revision)
        known = await self._refs.commits(image.id)
        names = view.names()

        def commit_of(name: str) -> Commit | None:
            record = known.get(name)
            return None if record is None else commits.decode(record.body)

        start = resolve(view, revision)
        return [
            LogLine(name, commit, names.get(name, ()))
            for name, commit in newest_first(start, commit_of, limit)
        ]

    async def moves(self, image: Image, ref: RefName) -> list[PastMove]:
        """The log of a branch or tag, newest first."""
        return await self._refs.moves(image.id, ref)

    async def move(self, image: Image, move: RefMove) -> None:
        """Change a branch or tag; raises Conflict, NotFound when its commit is nowhere known."""
        lineage = [] if move.new is None else await self._lineage(image.id, move.new)
        await self._refs.move(image.id, move, lineage)

    async def version_of(self, image: Image, commit: str, note: str = "") -> ImageVersion:
        """The version of a commit that this node or the farm has, made now if there is none.

        Raises NotFound, BadImage.
        """
        for item in reversed(await self._images.versions(image.id)):
            if item.commit_name == commit:
                return item
        lineage = await self._lineage(image.id, commit)
        made = await asyncio.to_thread(self._versions.store.commit, commit)
        await asyncio.to_thread(_check, self._versions, commit)
        number = await self._images.add_version(
            image.id,
            size_bytes=made.size_bytes,
            note=note or made.message,
            past=await asyncio.to_thread(self._versions.last_version, image.id),
            made=NewCommit(lineage),
        )
        placed = VersionCommit(image.name, commit)
        await asyncio.to_thread(self._versions.take, image.id, number, placed)
        versions = await self._images.versions(image.id)
        return next(item for item in versions if item.version == number)

    async def add(self, image: Image, record: CommitRecord, move: RefMove) -> ImageVersion:
        """Make a version of a commit of another node, and move a branch to it.

        Raises Conflict when the branch is elsewhere by now.
        """
        made = commits.decode(record.body)
        number = await self._images.add_version(
            image.id,
            size_bytes=made.size_bytes,
            note=made.message,
            past=await asyncio.to_thread(self._versions.last_version, image.id),
            made=NewCommit([record], move),
        )
        versions = await self._images.versions(image.id)
        return next(item for item in versions if item.version == number)

    async def bring(self, image: Image, commit: str) -> None:
        """Have a commit on this node, from another one if need be; raises NotFound, BadImage."""
        if await asyncio.to_thread(self._versions.store.places.commit(commit).is_file):
            return
        for item in await self._images.versions(image.id):
            if item.commit_name == commit:
                await self._supply.bring(image.id, item.version, lambda _sentence: None)
                return
        raise NotFound(
            f"The commit {commit[: commits.SHORT]} is not on this node, and it is not a version:"
            " ask the node where it was made."
        )

    async def _lineage(self, image_id: ImageId, commit: str) -> Sequence[CommitRecord]:
        known = await self._refs.commits(image_id)
        if commit in known:
            return [known[commit]]
        return await asyncio.to_thread(self._versions.lineage, commit, frozenset(known))


def _check(versions: ImageVersions, commit: str) -> None:
    with versions.mounts.view(commit) as root:
        tree_check.check(root, complete=False)
