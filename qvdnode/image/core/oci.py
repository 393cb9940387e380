"""The documents of OCI images and Docker archives: indexes, manifests, configurations; pure.

Whatever a registry or a file says is checked before it is used: digests are SHA-256 in hexadecimal,
sizes are numbers, names of files do not matter.
"""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, NoReturn

from qvdnode.model.errors import BadImage

DOCUMENT_MAX: Final = 4 * 1024 * 1024
LAYERS_MAX: Final = 1_000
SIZE_MAX: Final = 2**40
LAYOUT: Final = b'{"imageLayoutVersion":"1.0.0"}'
INDEX: Final = "application/vnd.oci.image.index.v1+json"
MANIFEST: Final = "application/vnd.oci.image.manifest.v1+json"
CONFIG: Final = "application/vnd.oci.image.config.v1+json"
LAYER: Final = "application/vnd.oci.image.layer.v1.tar+gzip"
TAG: Final = "org.opencontainers.image.ref.name"
INDEXES: Final = frozenset({INDEX, "application/vnd.docker.distribution.manifest.list.v2+json"})
TAG_MAX: Final = 128
_TOKEN: Final = re.compile(r"[\x21-\x7e]{1,65536}")
_DIGEST: Final = re.compile(r"sha256:[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Blob:
    """A document or a layer by its content."""

    digest: str
    """64 hexadecimal digits."""
    size: int
    media_type: str = ""


@dataclass(frozen=True, slots=True)
class Entry:
    """One image, or one index, of an index."""

    blob: Blob
    tag: str | None
    architecture: str | None


@dataclass(frozen=True, slots=True)
class Manifest:
    """What an image is made of."""

    config: Blob
    layers: tuple[Blob, ...]


@dataclass(frozen=True, slots=True)
class DockerImage:
    """One image of a Docker archive: names of members of the archive."""

    config: str
    layers: tuple[str, ...]
    tags: tuple[str, ...]


def digest_of(content: bytes) -> str:
    """The digest by which a document is found."""
    return hashlib.sha256(content).hexdigest()


def index(raw: bytes) -> tuple[Entry, ...]:
    """The images of an index; raises BadImage."""
    found = _document(raw, "the index")
    return tuple(_entry(item) for item in _list(found.get("manifests"), "manifests"))


def choose(entries: Sequence[Entry], tag: str | None, architecture: str) -> Blob:
    """The image of that tag, or the only one, for that processor; raises BadImage."""
    named = [one for one in entries if tag is None or one.tag == tag]
    fitting = [one for one in named if one.architecture in (None, architecture)]
    digests = {one.blob.digest: one.blob for one in fitting}
    if len(digests) == 1:
        return next(iter(digests.values()))
    tags = ", ".join(sorted({one.tag for one in entries if one.tag is not None})) or "none"
    if not named:
        raise BadImage(f"there is no image with the tag {tag}; there are: {tags}")
    if not fitting:
        raise BadImage(f"there is no image for the processor {architecture}")
    raise BadImage(f"there are {len(digests)} images: name the tag of one; there are: {tags}")


def manifest(raw: bytes) -> Manifest:
    """The parts of an image; raises BadImage."""
    found = _document(raw, "the manifest")
    layers = _list(found.get("layers"), "layers")
    return Manifest(_blob(found.get("config")), tuple(_blob(layer) for layer in layers))


def diff_ids(raw: bytes) -> tuple[str, ...]:
    """The digests of the layers without compression, by an image's configuration."""
    rootfs = _document(raw, "the configuration").get("rootfs")
    if not isinstance(rootfs, dict):
        _refuse("the configuration has no rootfs")
    return tuple(_digest(one) for one in _list(rootfs.get("diff_ids"), "diff_ids"))


def docker_images(raw: bytes) -> tuple[DockerImage, ...]:
    """The images of a Docker archive, by its manifest.json; raises BadImage."""
    found = _json(raw, "manifest.json")
    return tuple(_docker(item) for item in _list(found, "manifest.json"))


def choose_docker(images: Sequence[DockerImage], tag: str | None) -> DockerImage:
    """The image of that tag, or the only one; raises BadImage."""
    named = [one for one in images if tag is None or tag in one.tags]
    if len(named) == 1:
        return named[0]
    tags = ", ".join(sorted({name for one in images for name in one.tags})) or "none"
    raise BadImage(f"{len(named)} images fit: name the tag of one; there are: {tags}")


def tag_list(raw: bytes) -> list[str]:
    """The tags that a registry lists; raises BadImage."""
    found = _document(raw, "the list of tags").get("tags")
    return [tag for tag in _tags(found) if isinstance(tag, str) and len(tag) <= TAG_MAX]


def token(raw: bytes) -> str:
    """The token that a registry gave; raises BadImage."""
    found = _document(raw, "the token")
    text = found.get("token") or found.get("access_token")
    if not isinstance(text, str) or _TOKEN.fullmatch(text) is None:
        _refuse("the registry gave no valid token")
    return text


def error_text(raw: bytes) -> str:
    """What a registry says of an error, in printable characters; nothing if it says nothing."""
    try:
        errors = _document(raw, "the error").get("errors")
    except BadImage:
        return ""
    first = errors[0] if isinstance(errors, list) and errors else None
    said = first.get("message") if isinstance(first, dict) else None
    return "".join(c for c in said[:200] if c.isprintable()) if isinstance(said, str) else ""


def make_config(diff_digests: Sequence[str], architecture: str, created_at: int) -> bytes:
    """The configuration of an image with these layers."""
    moment = datetime.fromtimestamp(created_at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return _text(
        {
            "architecture": architecture,
            "os": "linux",
            "created": moment,
            "config": {"Cmd": ["/bin/sh"]},
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{one}" for one in diff_digests]},
            "history": [{"created": moment, "created_by": "qvdnode"} for _ in diff_digests],
        }
    )


def make_manifest(config: Blob, layers: Sequence[Blob]) -> bytes:
    """The manifest of an image."""
    return _text(
        {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": _written(config),
            "layers": [_written(layer) for layer in layers],
        }
    )


def make_index(image: Blob, tag: str) -> bytes:
    """The index of a layout with one image."""
    written: dict[str, object] = {**_written(image), "annotations": {TAG: tag}}
    return _text({"schemaVersion": 2, "mediaType": INDEX, "manifests": [written]})


def make_tagged_index(images: Sequence[tuple[str, Blob]]) -> bytes:
    """The index of a layout with these tags."""
    written = [{**_written(blob), "annotations": {TAG: tag}} for tag, blob in images]
    return _text({"schemaVersion": 2, "mediaType": INDEX, "manifests": written})


def make_docker_manifest(image: DockerImage) -> bytes:
    """The manifest.json of a Docker archive with one image."""
    return _text(
        [{"Config": image.config, "RepoTags": list(image.tags), "Layers": list(image.layers)}]
    )


def _tags(found: object) -> list[Any]:
    if found is None:
        return []
    if not isinstance(found, list):
        _refuse("the tags are no list")
    return found


def _written(blob: Blob) -> dict[str, object]:
    return {"mediaType": blob.media_type, "digest": f"sha256:{blob.digest}", "size": blob.size}


def _text(value: object) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode("ascii")


def _entry(item: object) -> Entry:
    blob = _blob(item)
    fields = item if isinstance(item, dict) else {}
    annotations, platform = fields.get("annotations"), fields.get("platform")
    tag = annotations.get(TAG) if isinstance(annotations, dict) else None
    architecture = platform.get("architecture") if isinstance(platform, dict) else None
    return Entry(
        blob,
        tag if isinstance(tag, str) else None,
        architecture if isinstance(architecture, str) else None,
    )


def _blob(item: object) -> Blob:
    if not isinstance(item, dict):
        _refuse("a part of the image is no object")
    size, kind = item.get("size"), item.get("mediaType", "")
    if type(size) is not int or not 0 <= size <= SIZE_MAX:
        _refuse("a part of the image has no valid size")
    if not isinstance(kind, str):
        _refuse("a part of the image has no valid type")
    if item.get("urls"):
        _refuse("a layer is to be fetched from elsewhere, which is not done")
    return Blob(_digest(item.get("digest")), size, kind)


def _docker(item: object) -> DockerImage:
    if not isinstance(item, dict):
        _refuse("manifest.json is not valid")
    config, tags = item.get("Config"), item.get("RepoTags") or []
    layers = _list(item.get("Layers"), "Layers")
    texts = (config, *layers, *_list(tags, "RepoTags"))
    if not all(isinstance(text, str) for text in texts):
        _refuse("manifest.json is not valid")
    return DockerImage(str(config), tuple(map(str, layers)), tuple(map(str, tags)))


def _digest(value: object) -> str:
    if not isinstance(value, str) or _DIGEST.fullmatch(value) is None:
        _refuse("a digest is not valid: only sha256 is known")
    return value.removeprefix("sha256:")


def _list(value: object, what: str) -> list[Any]:
    if not isinstance(value, list) or len(value) > LAYERS_MAX:
        _refuse(f"{what} is no list, or too long")
    return value


def _document(raw: bytes, what: str) -> Mapping[str, Any]:
    found = _json(raw, what)
    if not isinstance(found, dict):
        _refuse(f"{what} is no JSON object")
    return found


def _json(raw: bytes, what: str) -> Any:  # noqa: ANN401 - whatever it holds
    if len(raw) > DOCUMENT_MAX:
        _refuse(f"{what} is too large")
    try:
        return json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise BadImage(f"{what} is no JSON") from error


def _refuse(why: str) -> NoReturn:
    raise BadImage(why)
