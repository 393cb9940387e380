"""Fetches commits from a remote: by deltas from what is here, or by packs that have the rest."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from qvdnode.image.core import artifact
from qvdnode.image.core.artifact import CommitArtifact, DeltaArtifact
from qvdnode.image.core.commit import SHORT, Commit
from qvdnode.image.core.oci import Blob
from qvdnode.image.remote.ports import Place
from qvdnode.image.remote.reading import read_artifact, read_blob, read_commit, read_objects
from qvdnode.image.store.partial import CHUNK, PREFIX, PartialCommit
from qvdnode.image.store.repository import Repository, told
from qvdnode.model.errors import BadImage, NodeFull, NotFound

log = logging.getLogger(__name__)

CHAIN_MAX: Final = 16
"""Deltas one after another; from more commits away, packs are fetched."""
HISTORY_MAX: Final = 10_000
Advance = Callable[[int, int | None], None]
Room = Callable[[], int]
"""Bytes that may be written."""


@dataclass(frozen=True, slots=True)
class Link:
    """One commit of the way from what is here to what is wanted."""

    name: str
    raw: bytes
    commit: Commit
    found: CommitArtifact
    delta: DeltaArtifact | None = None
    """From its first parent."""


@dataclass(frozen=True, slots=True)
class Pulled:
    """What a pull did."""

    commit: str
    commits: int
    """How many came."""
    deltas: int
    """How many of them by a delta."""
    received_bytes: int


class Pull:
    """One pull of an image's commits."""

    def __init__(self, store: Repository, place: Place, room: Room, advance: Advance) -> None:
        self._store = store
        self._place = place
        self._room = room
        self._advance = advance
        self._done = 0
        self._total = 0

    async def target(self, tag: str) -> str:
        """The commit that a branch or tag of the remote points to; raises NotFound."""
        raw = await self._place.document(tag)
        if raw is None:
            raise NotFound(f"The remote has no {tag.replace('-', ' ', 1)} of this image.")
        return artifact.read_commit(raw).commit.digest

    async def pull(self, name: str, point: Callable[[str], None]) -> Pulled:
        """Have a commit in the store, and `point` point to it.

        What an earlier attempt has brought is not fetched again. Raises as Place, NodeFull.
        """
        if await asyncio.to_thread(self._store.places.commit(name).exists):
            await asyncio.to_thread(point, name)
            return Pulled(name, 0, 0, 0)
        work = self._store.places.tmp / f"{PREFIX}{name}"
        with told("a fetched commit cannot be kept"):
            await asyncio.to_thread(self._store.prepare)
            await asyncio.to_thread(self._store.files.make_folder, work)
        chain = await self._chain(name, work)
        deltas = sum(link.delta is not None for link in chain)
        self._total = sum(_delta_bytes(link) for link in chain)
        for number, link in enumerate(chain):
            last = number == len(chain) - 1
            await self._bring(link, point if last else _nowhere, work)
        await asyncio.to_thread(self._clean, work)
        return Pulled(name, len(chain), deltas, self._done)

    async def comes_after(self, earlier: str, later: str) -> bool:
        """Whether a commit of the remote comes after another one, by what both ends know."""
        work = await asyncio.to_thread(self._store.work_folder)
        try:
            seen: set[str] = set()
            waiting = [later]
            while waiting and len(seen) < HISTORY_MAX:
                name = waiting.pop(0)
                if name == earlier:
                    return True
                if name not in seen:
                    seen.add(name)
                    waiting.extend(await self._parents(name, work))
            return False
        finally:
            await asyncio.to_thread(self._clean, work)

    async def _parents(self, name: str, work: Path) -> tuple[str, ...]:
        if await asyncio.to_thread(self._store.places.commit(name).exists):
            return (await asyncio.to_thread(self._store.commit, name)).parents
        found = await read_artifact(self._place, name)
        return () if found is None else (await read_commit(self._place, found, work))[1].parents

    async def _chain(self, name: str, work: Path) -> list[Link]:
        """The commits to bring, the oldest first; only the wanted one, where deltas do not lead."""
        chain: list[Link] = []
        following = name
        while len(chain) < CHAIN_MAX:
            found = await read_artifact(self._place, following)
            if found is None:
                break
            raw, commit = await read_commit(self._place, found, work)
            parent = commit.parents[0] if commit.parents else None
            delta = None if parent is None else await self._delta(following, parent)
            chain.append(Link(following, raw, commit, found, delta))
            if parent is None or delta is None:
                break
            if await asyncio.to_thread(self._store.places.commit(parent).exists):
                return chain[::-1]
            following = parent
        if not chain:
            raise BadImage(f"the remote lacks the commit {name[:SHORT]}, which its branch names")
        first = chain[0]
        return [Link(first.name, first.raw, first.commit, first.found)]

    async def _delta(self, name: str, base: str) -> DeltaArtifact | None:
        raw = await self._place.document(artifact.delta_tag(name, base))
        if raw is None:
            return None
        found = artifact.read_delta(raw)
        if found.base != base:
            raise BadImage(
                f"the remote has another delta in the place of the one to {name[:SHORT]}"
            )
        return found

    async def _bring(self, link: Link, point: Callable[[str], None], work: Path) -> None:
        partial = await self._begun(link, work)
        try:
            await self._require_room(partial)
            if link.delta is not None:
                await self._by_delta(link.delta, partial, work)
            if partial.missing():
                await self._apply(await self._packs(link, partial, work), partial, work)
        finally:
            await asyncio.to_thread(partial.close)
        lacking = partial.missing()
        if lacking:
            raise BadImage(f"the remote lacks {len(lacking)} objects of {link.name[:SHORT]}")
        await asyncio.to_thread(partial.prepare)
        await asyncio.to_thread(partial.finish, point)

    async def _by_delta(self, delta: DeltaArtifact, partial: PartialCommit, work: Path) -> None:
        try:
            await self._apply([delta.pack], partial, work)
        except BadImage as error:
            # An object of this store that it starts from may be damaged: whole ones come then.
            log.warning("image_delta_refused", extra={"because": str(error)})
            await asyncio.to_thread(partial.close)

    async def _require_room(self, partial: PartialCommit) -> None:
        needed = sum(size for _, size in partial.missing())
        room = await asyncio.to_thread(self._room)
        if needed > room:
            raise NodeFull(
                f"the disk has no room for the image: it needs {-(-needed >> 20)} MiB more, and"
                f" {max(room, 0) >> 20} MiB may be used"
            )

    async def _begun(self, link: Link, work: Path) -> PartialCommit:
        base = None if link.delta is None else link.commit.parents[0]
        manifest = link.found.manifest if link.delta is None else link.delta.manifest
        packed = await read_blob(self._place, manifest, work)
        return await asyncio.to_thread(
            PartialCommit, self._store, link.name, link.raw, packed, base
        )

    async def _packs(self, link: Link, partial: PartialCommit, work: Path) -> list[Blob]:
        """The packs that have something that is missing."""
        missing = {digest for digest, _ in partial.missing()}
        listed = await read_objects(self._place, link.found, work)
        packs = [
            pack
            for pack, digests in zip(link.found.packs, listed, strict=True)
            if not missing.isdisjoint(digests)
        ]
        self._total += sum(pack.size for pack in packs)
        return packs

    async def _apply(self, packs: list[Blob], partial: PartialCommit, work: Path) -> None:
        """Fetch packs, and unpack each while the next one comes."""
        path: Path | None = None
        for following in [*packs, None]:
            # While one is fetched, the one before it is unpacked.
            both = await asyncio.gather(
                _nothing() if following is None else self._fetched(following, work),
                _nothing() if path is None else asyncio.to_thread(_unpack, path, partial),
                return_exceptions=True,
            )
            for outcome in both:
                if isinstance(outcome, BaseException):
                    raise outcome
            path = both[0] if isinstance(both[0], Path) else None

    async def _fetched(self, pack: Blob, work: Path) -> Path:
        path = work / f"blob-{pack.digest}"
        with told("a part of an image cannot be read"):
            self._count(await asyncio.to_thread(_size, path))
        await self._place.get(pack, path, self._count)
        return path

    def _count(self, moved: int) -> None:
        self._done += moved
        self._advance(self._done, max(self._total, self._done))

    def _clean(self, work: Path) -> None:
        with told("what is left of a fetch cannot be removed"):
            self._store.files.remove_tree(work)


def _unpack(path: Path, partial: PartialCommit) -> None:
    with told("a part of an image cannot be read"), path.open("rb", buffering=0) as stream:
        partial.begin_pack()
        while chunk := stream.read(CHUNK):
            partial.take_pack(chunk)
        if not partial.unpacked:
            raise BadImage("a pack of the remote is cut off")
        path.unlink()


def _delta_bytes(link: Link) -> int:
    return 0 if link.delta is None else link.delta.pack.size


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


async def _nothing() -> None:
    """Stand for what has nothing to do."""


def _nowhere(_name: str) -> None:
    """Point nothing to a commit on the way: its child needs it, and keeps it."""
