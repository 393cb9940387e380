"""Documents of OCI images."""

import json
from typing import Any

import pytest

from qvdnode.image.core import oci
from qvdnode.image.core.oci import Blob, DockerImage
from qvdnode.model.errors import BadImage

A, B = "a" * 64, "b" * 64
LAYER: dict[str, Any] = {"digest": f"sha256:{A}", "size": 5, "mediaType": oci.LAYER}


def text(value: object) -> bytes:
    return json.dumps(value).encode()


def entry(digest: str, tag: str | None = None, architecture: str | None = None) -> dict[str, Any]:
    found: dict[str, Any] = {"digest": f"sha256:{digest}", "size": 9, "mediaType": oci.MANIFEST}
    if tag is not None:
        found["annotations"] = {oci.TAG: tag}
    if architecture is not None:
        found["platform"] = {"architecture": architecture}
    return found


def chosen(items: list[dict[str, Any]], tag: str | None = None) -> str:
    return oci.choose(oci.index(text({"manifests": items})), tag, "amd64").digest


def test_what_is_made_is_read() -> None:
    config = oci.make_config([A], "amd64", 0)
    assert oci.diff_ids(config) == (A,)
    blob = Blob(oci.digest_of(config), len(config), oci.CONFIG)
    raw = oci.make_manifest(blob, [Blob(A, 5, oci.LAYER)])
    assert oci.manifest(raw) == oci.Manifest(blob, (Blob(A, 5, oci.LAYER),))
    index = oci.make_index(Blob(B, 7, oci.MANIFEST), "3")
    assert oci.choose(oci.index(index), "3", "amd64") == Blob(B, 7, oci.MANIFEST)
    image = DockerImage("c.json", ("a/layer.tar",), ("icewm:3",))
    assert oci.docker_images(oci.make_docker_manifest(image)) == (image,)


def test_an_image_is_chosen_by_tag_and_processor() -> None:
    assert chosen([entry(A)]) == A
    assert chosen([entry(A, "1"), entry(B, "2")], "2") == B
    assert chosen([entry(A, None, "amd64"), entry(B, None, "arm64")]) == A
    assert chosen([entry(A, "1"), entry(A, "2")]) == A


@pytest.mark.parametrize(
    ("items", "tag", "because"),
    [
        ([entry(A, "1")], "2", "no image with the tag 2; there are: 1"),
        ([entry(A, None, "arm64")], None, "processor amd64"),
        ([entry(A, "1"), entry(B, "2")], None, "2 images: name the tag"),
        ([], None, "there are: none"),
    ],
)
def test_an_image_that_cannot_be_chosen_is_said_so(
    items: list[dict[str, Any]], tag: str | None, because: str
) -> None:
    with pytest.raises(BadImage, match=because):
        chosen(items, tag)


def test_an_image_of_an_archive_is_chosen_by_its_name() -> None:
    one, two = DockerImage("1", (), ("a:1",)), DockerImage("2", (), ())
    assert oci.choose_docker([one], None) == one
    assert oci.choose_docker([one, two], "a:1") == one
    with pytest.raises(BadImage, match="2 images fit"):
        oci.choose_docker([one, two], None)
    with pytest.raises(BadImage, match="there are: none"):
        oci.choose_docker([two], "x")


@pytest.mark.parametrize(
    "value",
    [
        None, 5, [], {}, {"layers": 5}, {"layers": [5]}, {"layers": [LAYER]},
        {"config": LAYER, "layers": [{**LAYER, "size": -1}]},
        {"config": LAYER, "layers": [{**LAYER, "size": True}]},
        {"config": LAYER, "layers": [{**LAYER, "digest": "sha256:x"}]},
        {"config": LAYER, "layers": [{**LAYER, "digest": 5}]},
        {"config": LAYER, "layers": [{**LAYER, "digest": "md5:" + "a" * 32}]},
        {"config": LAYER, "layers": [{**LAYER, "mediaType": 5}]},
        {"config": LAYER, "layers": [{**LAYER, "urls": ["http://elsewhere"]}]},
        {"config": LAYER, "layers": [LAYER] * (oci.LAYERS_MAX + 1)},
    ],
)  # fmt: skip
def test_a_manifest_that_is_not_valid_is_refused(value: object) -> None:
    with pytest.raises(BadImage):
        oci.manifest(text(value))


@pytest.mark.parametrize("raw", [b"", b"{", b"\xff", b"[" * 100_000, b" " * (oci.DOCUMENT_MAX + 1)])
def test_what_is_no_document_is_refused(raw: bytes) -> None:
    for read in (oci.manifest, oci.index, oci.diff_ids, oci.docker_images):
        with pytest.raises(BadImage):
            read(raw)


@pytest.mark.parametrize(
    "value",
    [
        {}, [5], [{}], [{"Config": 5, "Layers": []}], [{"Config": "c", "Layers": [5]}],
        [{"Config": "c", "Layers": [], "RepoTags": [5]}],
    ],
)  # fmt: skip
def test_an_archive_that_is_not_valid_is_refused(value: object) -> None:
    with pytest.raises(BadImage):
        oci.docker_images(text(value))
    assert oci.docker_images(text([{"Config": "c", "Layers": [], "RepoTags": None}]))[0].tags == ()


@pytest.mark.parametrize(
    "value", [{}, {"rootfs": []}, {"rootfs": {}}, {"rootfs": {"diff_ids": [1]}}]
)
def test_a_configuration_that_is_not_valid_is_refused(value: object) -> None:
    with pytest.raises(BadImage):
        oci.diff_ids(text(value))


def test_odd_tags_and_processors_are_ignored() -> None:
    item = {**entry(A), "annotations": {oci.TAG: 5}, "platform": {"architecture": 5}}
    assert oci.index(text({"manifests": [item]}))[0].tag is None
    item = {**entry(A), "annotations": 5, "platform": 5}
    assert oci.index(text({"manifests": [item]}))[0].architecture is None


def test_what_a_registry_says_is_read() -> None:
    assert oci.tag_list(b'{"name":"a","tags":["x",5]}') == ["x"]
    assert oci.tag_list(b'{"tags":null}') == []
    with pytest.raises(BadImage, match="no list"):
        oci.tag_list(b'{"tags":5}')
    assert oci.token(b'{"token":"abc"}') == oci.token(b'{"access_token":"abc"}') == "abc"
    for wrong in (b"{}", b'{"token":"a b"}', b'{"token":5}'):
        with pytest.raises(BadImage, match="no valid token"):
            oci.token(wrong)
    assert oci.error_text(b'{"errors":[{"message":"blob\\nunknown"}]}') == "blobunknown"
    for nothing in (b"", b'{"errors":[]}', b'{"errors":[5]}', b'{"errors":[{"message":5}]}'):
        assert oci.error_text(nothing) == ""


def test_an_index_with_several_tags_is_read_back() -> None:
    blob = oci.Blob("a" * 64, 5, oci.MANIFEST)
    entries = oci.index(oci.make_tagged_index([("x", blob), ("y", blob)]))
    assert [(one.tag, one.blob) for one in entries] == [("x", blob), ("y", blob)]
