"""Push, fetch and pull between a store and its remotes, with the branches that they move."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from qvdnode.image.core import artifact
from qvdnode.image.core.commit import SHORT
from qvdnode.image.core.refs import Ref
from qvdnode.image.remote.folder import FolderPlace
from qvdnode.image.remote.ports import Place
from qvdnode.image.remote.pull import Advance, Pull, Pulled, Room
from qvdnode.image.remote.push import Push, Pushed, is_ancestor
from qvdnode.image.remote.registry import RegistryPlace
from qvdnode.image.remote.registry_session import Access, RegistrySession
from qvdnode.image.remote.remotes import Remote
from qvdnode.image.store.branches import Branches
from qvdnode.image.store.repository import Repository, told
from qvdnode.model.errors import Conflict, NotFound
from qvdnode.runtime.clock import Clock


@asynccontextmanager
async def opened(remote: Remote, image: str, clock: Clock) -> AsyncIterator[Place]:
    """The place of an image at a remote; raises Invalid, BadConfig."""
    address = remote.address
    if not address.host:
        yield FolderPlace(Path(address.path) / image)
        return
    repository = address.repository(image)
    ca_file = Path(remote.ca_file) if remote.ca_file else None
    access = Access(address.host, remote.user, remote.password, ca_file, remote.plain_http)
    async with RegistrySession(access, clock) as session:
        yield RegistryPlace(session, repository, clock)


@dataclass(frozen=True, slots=True)
class Arrived:
    """One branch or tag after a fetch or a pull."""

    ref: str
    """The one of this store that has it."""
    old: str | None
    pulled: Pulled


class Exchange:
    """What a store gives to one image's place at a remote, and takes from there."""

    def __init__(
        self, store: Repository, branches: Branches, place: Place, room: Room, advance: Advance
    ) -> None:
        self._store = store
        self._branches = branches
        self._place = place
        self._advance = advance
        self._pull = Pull(store, place, room, advance)

    async def push(self, ref: Ref, *, force: bool) -> Pushed:
        """Send a branch or a tag; raises NotFound, Conflict, and as Place."""
        commit = await asyncio.to_thread(self._branches.get, ref)
        if commit is None:
            raise NotFound(f"There is no {ref.short} in this store.")
        work = await asyncio.to_thread(self._work_folder)
        try:
            push = Push(self._store, self._place, work, self._advance)
            tag = artifact.ref_tag(ref.name, tag=ref.tag)
            return await push.push(commit, tag, force=force, movable=not ref.tag)
        finally:
            await asyncio.to_thread(self._store.files.remove_tree, work)

    async def fetch(self, remote: str, image: str, only: Ref | None, who: str) -> list[Arrived]:
        """Bring branches of the remote, as IMAGE/REMOTE.BRANCH; all, or only one, or one tag.

        Raises NotFound, Conflict, Invalid, and as Place.
        """
        tags = [artifact.ref_of(tag) for tag in await self._place.tags()]
        there = [one for one in tags if one is not None]
        wanted = [one for one in there if not one[1]] if only is None else [(only.name, only.tag)]
        if not wanted:
            raise NotFound("The remote has no branch of this image.")
        return [
            await self._arrived(
                Ref(image, f"{remote}.{name}", tag=tag),
                artifact.ref_tag(name, tag=tag),
                remote,
                who,
            )
            for name, tag in sorted(wanted)
        ]

    async def pull(self, remote: str, ref: Ref, there: Ref, who: str, *, force: bool) -> Arrived:
        """Bring the remote's branch `there`, and move the branch `ref` forward to it.

        Raises Conflict when that has commits that the remote's does not come after, unless `force`;
        NotFound, and as Place.
        """
        name = await self._pull.target(artifact.ref_tag(there.name, tag=there.tag))
        old = await asyncio.to_thread(self._branches.get, ref)
        if old is not None and old != name:
            if await asyncio.to_thread(is_ancestor, self._store, name, old):
                return Arrived(ref.short, old, Pulled(old, 0, 0, 0))
            if not force and not await self._pull.comes_after(old, name):
                raise Conflict(
                    f"{ref.short} is at {old[:SHORT]}, and the remote's {name[:SHORT]} does not"
                    " come after it: fetch and compare them, or pull with --force to leave yours"
                    " behind (rollback brings it back)."
                )
        why = f"pull from {remote}"

        def point(new: str) -> None:
            if new != old:
                self._branches.move(ref, old=old, new=new, who=who, why=why)

        return Arrived(ref.short, old, await self._pull.pull(name, point))

    async def _arrived(self, ref: Ref, tag: str, remote: str, who: str) -> Arrived:
        name = await self._pull.target(tag)
        old = await asyncio.to_thread(self._branches.get, ref)
        move = partial(self._branches.move, ref, old=old, who=who, why=f"fetch from {remote}")

        def point(new: str) -> None:
            if new != old:
                move(new=new)

        return Arrived(ref.short, old, await self._pull.pull(name, point))

    def _work_folder(self) -> Path:
        with told("what is to be sent cannot be written"):
            self._store.prepare()
            return self._store.work_folder()
