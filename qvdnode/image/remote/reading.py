"""Reads the documents of commits at a remote, each checked against its name."""

import asyncio
from pathlib import Path

from qvdnode.image.core import artifact
from qvdnode.image.core import commit as commits
from qvdnode.image.core.artifact import CommitArtifact
from qvdnode.image.core.commit import SHORT, Commit
from qvdnode.image.core.oci import Blob
from qvdnode.image.remote.ports import Place
from qvdnode.image.store.repository import told
from qvdnode.model.errors import BadImage


async def read_artifact(place: Place, name: str) -> CommitArtifact | None:
    """The parts of a commit at a remote, or None; raises as Place."""
    raw = await place.document(artifact.commit_tag(name))
    if raw is None:
        return None
    found = artifact.read_commit(raw)
    if found.commit.digest != name:
        raise BadImage(f"the remote has another commit in the place of {name[:SHORT]}")
    return found


async def read_commit(place: Place, found: CommitArtifact, work: Path) -> tuple[bytes, Commit]:
    """The text of a commit, and what it says; raises as Place."""
    raw = await read_blob(place, found.commit, work)
    return raw, commits.decode(raw)


async def read_objects(place: Place, found: CommitArtifact, work: Path) -> list[list[str]]:
    """The digests of the objects in each pack of a commit; raises as Place."""
    return artifact.read_list(await read_blob(place, found.objects, work), len(found.packs))


async def read_blob(place: Place, blob: Blob, work: Path) -> bytes:
    """A small blob; raises as Place."""
    path = work / f"blob-{blob.digest}"
    await place.get(blob, path, _unheard)
    with told("a part of an image cannot be read"):
        return await asyncio.to_thread(path.read_bytes)


def _unheard(_moved: int) -> None:
    """Count nothing: it is small."""
