"""Commits in a registry: the documents and the tags by which they are found; pure.

A commit is an OCI artifact. Its configuration is the commit's own text. Its layers are the
manifest packed with zlib, a list of the objects in each pack, and the packs (core/pack.py). Packs
of earlier commits are named again as long as most of what is in them is needed. A delta is an
artifact whose subject is the commit: the manifest as a patch on that of another commit, and one
pack of patches.

    commit-NAME             the artifact of a commit
    delta-NAME-BASE         the delta to it from another one (32 digits of each)
    branch-BRANCH, tag-TAG  the artifact that a branch or a tag points to
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, NoReturn

from qvdnode.image.core import oci
from qvdnode.image.core.commit import is_name
from qvdnode.image.core.oci import Blob
from qvdnode.model.errors import BadImage

COMMIT_TYPE: Final = "application/vnd.qvdnode.commit.v1+json"
DELTA_TYPE: Final = "application/vnd.qvdnode.delta.v1"
MANIFEST_TYPE: Final = "application/vnd.qvdnode.manifest.v1+zlib"
PATCH_TYPE: Final = "application/vnd.qvdnode.manifest-patch.v1+zstd"
LIST_TYPE: Final = "application/vnd.qvdnode.objects.v1"
PACK_TYPE: Final = "application/vnd.qvdnode.pack.v1+zstd"
EMPTY_TYPE: Final = "application/vnd.oci.empty.v1+json"
EMPTY: Final = b"{}"
BASE: Final = "org.qvdnode.base"
COMMIT: Final = "org.qvdnode.commit"
PACKS_MAX: Final = 200
LIST_MAX: Final = 512 << 20
COMMIT_MAX: Final = 64 * 1024
_SHORT: Final = 32
_COUNT: Final = 4
_DIGEST: Final = 32


@dataclass(frozen=True, slots=True)
class CommitArtifact:
    """Where the parts of a commit are."""

    commit: Blob
    manifest: Blob
    objects: Blob
    packs: tuple[Blob, ...]


@dataclass(frozen=True, slots=True)
class DeltaArtifact:
    """Where the parts of a delta are."""

    base: str
    """The commit that it starts from."""
    manifest: Blob
    pack: Blob


def commit_tag(name: str) -> str:
    """The tag of a commit."""
    return f"commit-{name}"


def delta_tag(name: str, base: str) -> str:
    """The tag of the delta to a commit from another one."""
    return f"delta-{name[:_SHORT]}-{base[:_SHORT]}"


def ref_tag(name: str, *, tag: bool) -> str:
    """The tag of a branch, or of a tag."""
    return f"{'tag' if tag else 'branch'}-{name}"


def ref_of(found: str) -> tuple[str, bool] | None:
    """The branch, or the tag (True), of a registry's tag; None for anything else."""
    kind, _, name = found.partition("-")
    return (name, kind == "tag") if kind in {"branch", "tag"} and name else None


def write_commit(artifact: CommitArtifact) -> bytes:
    """The document of a commit."""
    layers = (artifact.manifest, artifact.objects, *artifact.packs)
    return _text(
        {
            "schemaVersion": 2,
            "mediaType": oci.MANIFEST,
            "artifactType": COMMIT_TYPE,
            "config": _written(artifact.commit),
            "layers": [_written(one) for one in layers],
            "annotations": {COMMIT: artifact.commit.digest},
        }
    )


def read_commit(raw: bytes) -> CommitArtifact:
    """The parts of a commit; raises BadImage for any other document."""
    found = oci.manifest(raw)
    kinds = [one.media_type for one in found.layers]
    if found.config.media_type != COMMIT_TYPE or kinds[:2] != [MANIFEST_TYPE, LIST_TYPE]:
        _refuse("the registry has something there that is no commit of an image")
    if set(kinds[2:]) - {PACK_TYPE} or len(kinds) - 2 > PACKS_MAX:
        _refuse("the commit in the registry has parts that are not known")
    if found.config.size > COMMIT_MAX or found.layers[1].size > LIST_MAX:
        _refuse("the commit in the registry has parts that are too large")
    return CommitArtifact(found.config, found.layers[0], found.layers[1], found.layers[2:])


def write_delta(delta: DeltaArtifact, subject: Blob) -> bytes:
    """The document of a delta to the commit whose document is `subject`."""
    empty = Blob(oci.digest_of(EMPTY), len(EMPTY), EMPTY_TYPE)
    return _text(
        {
            "schemaVersion": 2,
            "mediaType": oci.MANIFEST,
            "artifactType": DELTA_TYPE,
            "config": _written(empty),
            "layers": [_written(delta.manifest), _written(delta.pack)],
            "subject": _written(subject),
            "annotations": {BASE: delta.base},
        }
    )


def read_delta(raw: bytes) -> DeltaArtifact:
    """The parts of a delta; raises BadImage for any other document."""
    found = oci.manifest(raw)
    if [one.media_type for one in found.layers] != [PATCH_TYPE, PACK_TYPE]:
        _refuse("the registry has something there that is no delta")
    document = json.loads(raw)
    annotations: Any = document.get("annotations")
    base = annotations.get(BASE) if isinstance(annotations, dict) else None
    if not isinstance(base, str) or not is_name(base):
        _refuse("the delta in the registry does not say what it starts from")
    return DeltaArtifact(base, found.layers[0], found.layers[1])


def write_list(packs: Sequence[Sequence[str]]) -> bytes:
    """The objects of each pack."""
    return b"".join(
        len(pack).to_bytes(_COUNT, "big") + b"".join(map(bytes.fromhex, pack)) for pack in packs
    )


def read_list(raw: bytes, packs: int) -> list[list[str]]:
    """The objects of each of so many packs; raises BadImage."""
    found, at = [], 0
    for _ in range(packs):
        count = int.from_bytes(raw[at : at + _COUNT], "big")
        start, at = at + _COUNT, at + _COUNT + count * _DIGEST
        if at > len(raw):
            _refuse("the list of objects in the registry is cut off")
        found.append([raw[n : n + _DIGEST].hex() for n in range(start, at, _DIGEST)])
    if at != len(raw):
        _refuse("the list of objects in the registry is longer than its packs")
    return found


def _written(blob: Blob) -> dict[str, object]:
    return {"mediaType": blob.media_type, "digest": f"sha256:{blob.digest}", "size": blob.size}


def _text(value: object) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode("ascii")


def _refuse(why: str) -> NoReturn:
    raise BadImage(why)
