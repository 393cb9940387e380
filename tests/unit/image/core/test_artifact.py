"""Commits as artifacts of a registry."""

import json

import pytest

from qvdnode.image.core import artifact
from qvdnode.image.core.artifact import CommitArtifact, DeltaArtifact
from qvdnode.image.core.oci import Blob
from qvdnode.model.errors import BadImage

NAME, BASE = "1" * 64, "2" * 64
COMMIT = CommitArtifact(
    Blob("a" * 64, 10, artifact.COMMIT_TYPE),
    Blob("b" * 64, 20, artifact.MANIFEST_TYPE),
    Blob("c" * 64, 30, artifact.LIST_TYPE),
    (Blob("d" * 64, 40, artifact.PACK_TYPE),),
)
DELTA = DeltaArtifact(
    BASE, Blob("b" * 64, 20, artifact.PATCH_TYPE), Blob("d" * 64, 40, artifact.PACK_TYPE)
)


def test_tags_say_what_they_are_of() -> None:
    assert artifact.commit_tag(NAME) == f"commit-{NAME}"
    assert artifact.delta_tag(NAME, BASE) == f"delta-{'1' * 32}-{'2' * 32}"
    assert artifact.ref_of(artifact.ref_tag("main", tag=False)) == ("main", False)
    assert artifact.ref_of(artifact.ref_tag("7-b", tag=True)) == ("7-b", True)
    assert artifact.ref_of(f"commit-{NAME}") is None
    assert artifact.ref_of("latest") is None


def test_documents_are_read_back() -> None:
    raw = artifact.write_commit(COMMIT)
    assert artifact.read_commit(raw) == COMMIT
    assert json.loads(raw)["artifactType"] == artifact.COMMIT_TYPE
    delta = artifact.write_delta(DELTA, Blob("e" * 64, 50, "m"))
    assert artifact.read_delta(delta) == DELTA
    assert json.loads(delta)["subject"]["digest"] == f"sha256:{'e' * 64}"


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"commit": Blob("a" * 64, 10, "image")}, "no commit"),
        ({"objects": Blob("c" * 64, 30, "x")}, "no commit"),
        ({"packs": (Blob("d" * 64, 40, "x"),)}, "not known"),
        ({"packs": COMMIT.packs * (artifact.PACKS_MAX + 1)}, "not known"),
        ({"commit": Blob("a" * 64, 10**6, artifact.COMMIT_TYPE)}, "too large"),
    ],
)
def test_another_document_is_no_commit(changes: dict[str, object], why: str) -> None:
    values = {name: getattr(COMMIT, name) for name in CommitArtifact.__slots__} | changes
    with pytest.raises(BadImage, match=why):
        artifact.read_commit(artifact.write_commit(CommitArtifact(**values)))


def test_another_document_is_no_delta() -> None:
    subject = Blob("e" * 64, 50, "m")
    with pytest.raises(BadImage, match="no delta"):
        artifact.read_delta(artifact.write_commit(COMMIT))
    wrong = artifact.write_delta(DeltaArtifact("x", DELTA.manifest, DELTA.pack), subject)
    with pytest.raises(BadImage, match="starts from"):
        artifact.read_delta(wrong)
    document = json.loads(wrong)
    del document["annotations"]
    with pytest.raises(BadImage, match="starts from"):
        artifact.read_delta(json.dumps(document).encode())


def test_the_objects_of_packs_are_listed() -> None:
    packs = [[NAME, BASE], [], ["3" * 64]]
    raw = artifact.write_list(packs)
    assert artifact.read_list(raw, 3) == packs
    with pytest.raises(BadImage, match="cut off"):
        artifact.read_list(raw[:-1], 3)
    with pytest.raises(BadImage, match="longer"):
        artifact.read_list(raw, 2)
