"""Sends commits to a remote: what it lacks of them, and deltas from the commits before them."""

import asyncio
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from qvdnode.host.zstd import Packer
from qvdnode.image.core import artifact, delta, oci
from qvdnode.image.core import commit as commits
from qvdnode.image.core import manifest as manifests
from qvdnode.image.core.artifact import CommitArtifact, DeltaArtifact
from qvdnode.image.core.commit import SHORT
from qvdnode.image.core.manifest import Tree
from qvdnode.image.core.oci import Blob
from qvdnode.image.remote.blob_files import blob_of
from qvdnode.image.remote.ports import Place
from qvdnode.image.remote.reading import read_artifact, read_objects
from qvdnode.image.store.packing import KEPT_LEVEL, ObjectPacker
from qvdnode.image.store.repository import Repository, told
from qvdnode.model.errors import Conflict, NotFound

PACK_MAX: Final = 128 << 20
"""Content of one pack: a part that an interrupted push has sent is not sent again."""
PACKS_MAX: Final = artifact.PACKS_MAX // 2
Advance = Callable[[int, int | None], None]


@dataclass(frozen=True, slots=True)
class Pushed:
    """What a push did."""

    commit: str
    before: str | None
    """Where the branch was at the remote."""
    commits: int
    """How many were sent."""
    sent_bytes: int


class Push:
    """One push of an image's commits."""

    def __init__(self, store: Repository, place: Place, work: Path, advance: Advance) -> None:
        """`work` is a folder on the store's file system for what is being sent."""
        self._store = store
        self._place = place
        self._work = work
        self._advance = advance
        self._done = 0
        self._total = 0
        self._sent = 0

    async def push(self, commit: str, tag: str, *, force: bool, movable: bool) -> Pushed:
        """Send a commit with those before it, and have the remote's branch or tag point to it.

        Raises Conflict when the branch there has commits that this one does not come after, unless
        `force`; always for a tag that is elsewhere. And as Place.
        """
        raw = await self._place.document(tag)
        before = None if raw is None else artifact.read_commit(raw).commit.digest
        lacking = await self._lacking(commit)
        if before is not None and before != commit:
            await self._require_later(before, commit, tag, force=force, movable=movable)
        document = b""
        for name in lacking:
            document = await self._send(name)
        if before != commit or not lacking:
            found = document or await self._place.document(artifact.commit_tag(commit))
            if found is None:
                raise Conflict("The commit vanished from the remote meanwhile: push again.")
            if raw != found:
                await self._place.put_document(found, tag)
        return Pushed(commit, before, len(lacking), self._sent)

    async def _lacking(self, commit: str) -> list[str]:
        """The commits to send, oldest first: those that are here and that the remote lacks."""
        order: list[str] = []
        seen: set[str] = set()
        waiting = [commit]
        while waiting:
            name = waiting.pop()
            if name in seen or await self._place.document(artifact.commit_tag(name)) is not None:
                continue
            seen.add(name)
            try:
                parents = (await asyncio.to_thread(self._store.commit, name)).parents
            except NotFound:
                if name == commit:
                    raise
                continue  # this store has not all of the history: that is no fault
            order.append(name)
            waiting.extend(parents)
        return await asyncio.to_thread(_oldest_first, self._store, order)

    async def _require_later(
        self, before: str, commit: str, tag: str, *, force: bool, movable: bool
    ) -> None:
        if not movable:
            raise Conflict(f"{tag} is at {before[:SHORT]} there, and tags never move.")
        if not force and not await asyncio.to_thread(is_ancestor, self._store, before, commit):
            raise Conflict(
                f"The remote has {before[:SHORT]}, which {commit[:SHORT]} does not come after:"
                " fetch and look first, or push with --force to leave it behind."
            )

    async def _send(self, name: str) -> bytes:
        commit = await asyncio.to_thread(self._store.commit, name)
        tree = await asyncio.to_thread(self._store.tree, name)
        parent = await self._parent(commit.parents)
        kept: list[tuple[Blob, list[str]]] = []
        if parent is not None:
            kept = await self._reusable(parent[1], tree)
        there = {digest for _, listed in kept for digest in listed}
        sizes = manifests.digests(tree.values())
        wanted = sizes.keys() - there
        self._total += sum(sizes[one] for one in wanted)
        packs = [*kept]
        for steps in _split(delta.steps(None, tree, wanted)):
            blob = await self._pack(steps)
            packs.append((blob, [step.digest for step in steps]))
        manifest = self._store.places.manifest(commit.manifest)
        found = CommitArtifact(
            await self._put_bytes(commits.encode(commit), artifact.COMMIT_TYPE),
            await self._put_file(manifest, artifact.MANIFEST_TYPE),
            await self._put_bytes(
                artifact.write_list([listed for _, listed in packs]), artifact.LIST_TYPE
            ),
            tuple(blob for blob, _ in packs),
        )  # fmt: skip
        document = artifact.write_commit(found)
        await self._place.put_document(document, artifact.commit_tag(name))
        if parent is not None and await asyncio.to_thread(self._has, parent[0]):
            await self._send_delta(name, parent[0], tree, document)
        return document

    async def _send_delta(self, name: str, base: str, tree: Tree, document: bytes) -> None:
        """Send what leads from a commit to the next one."""
        old = await asyncio.to_thread(self._store.tree, base)
        fresh = manifests.digests(tree.values()).keys() - manifests.digests(old.values()).keys()
        pack = await self._pack(delta.steps(old, tree, fresh), counted=False)
        patch = await asyncio.to_thread(self._manifest_patch, name, base)
        made = DeltaArtifact(base, await self._put_bytes(patch, artifact.PATCH_TYPE), pack)
        await self._put_bytes(artifact.EMPTY, artifact.EMPTY_TYPE)
        subject = Blob(oci.digest_of(document), len(document), oci.MANIFEST)
        await self._place.put_document(
            artifact.write_delta(made, subject), artifact.delta_tag(name, base)
        )

    async def _parent(self, parents: tuple[str, ...]) -> tuple[str, CommitArtifact] | None:
        for parent in parents:
            found = await read_artifact(self._place, parent)
            if found is not None:
                return parent, found
        return None

    async def _reusable(self, parent: CommitArtifact, tree: Tree) -> list[tuple[Blob, list[str]]]:
        """The packs of the commit before it, as long as most of what is in them is needed."""
        listed = await read_objects(self._place, parent, self._work)
        needed = manifests.digests(tree.values())
        packs = [
            (blob, digests)
            for blob, digests in zip(parent.packs, listed, strict=True)
            if not needed.keys().isdisjoint(digests)
        ]
        objects = {digest for _, digests in packs for digest in digests}
        useless = len(objects - needed.keys())
        return [] if useless > len(needed) or len(packs) > PACKS_MAX else packs

    async def _pack(self, steps: list[delta.Step], *, counted: bool = True) -> Blob:
        path = self._work / "pack"
        await asyncio.to_thread(self._write_pack, path, steps, counted)
        return await self._put_file(path, artifact.PACK_TYPE)

    def _write_pack(self, path: Path, steps: list[delta.Step], counted: bool) -> None:  # noqa: FBT001 - of to_thread
        packer = ObjectPacker(self._store, KEPT_LEVEL)

        def told_steps() -> Iterator[delta.Step]:
            for step in steps:
                yield step
                if counted:
                    self._done += step.size
                    self._advance(self._done, self._total)

        with told("what is to be sent cannot be written"), path.open("wb") as stream:
            for piece in packer.pieces(told_steps()):
                stream.write(piece)

    def _manifest_patch(self, name: str, base: str) -> bytes:
        texts = [self._store.manifest(self._store.commit(one).manifest) for one in (name, base)]
        return Packer(KEPT_LEVEL).packed(*texts)

    async def _put_bytes(self, content: bytes, kind: str) -> Blob:
        path = self._work / "part"
        with told("what is to be sent cannot be written"):
            await asyncio.to_thread(path.write_bytes, content)
        return await self._put_file(path, kind)

    async def _put_file(self, path: Path, kind: str) -> Blob:
        with told("what is to be sent cannot be read"):
            blob = await asyncio.to_thread(blob_of, path, kind)
        if not await self._place.has(blob):
            await self._place.put(blob, path, self._count)
        return blob

    def _count(self, moved: int) -> None:
        self._sent += moved

    def _has(self, name: str) -> bool:
        return self._store.places.commit(name).exists()


def is_ancestor(store: Repository, earlier: str, later: str) -> bool:
    """Whether a commit comes after another one, as far as the store knows. Blocks."""
    seen: set[str] = set()
    waiting = [later]
    while waiting:
        name = waiting.pop()
        if name == earlier:
            return True
        if name not in seen and store.places.commit(name).exists():
            seen.add(name)
            waiting.extend(store.commit(name).parents)
    return False


def _oldest_first(store: Repository, names: list[str]) -> list[str]:
    """Parents before their children."""
    parents: Mapping[str, tuple[str, ...]] = {name: store.commit(name).parents for name in names}
    order: dict[str, None] = {}
    waiting = list(names)
    while waiting:
        name = waiting[-1]
        before = [one for one in parents[name] if one in parents and one not in order]
        if name in order or not before:
            order[waiting.pop()] = None
        else:
            waiting += before
    return list(order)


def _split(steps: list[delta.Step]) -> Iterator[list[delta.Step]]:
    part: list[delta.Step] = []
    size = 0
    for step in steps:
        if part and size + step.size > PACK_MAX:
            yield part
            part, size = [], 0
        part.append(step)
        size += step.size
    if part:
        yield part
