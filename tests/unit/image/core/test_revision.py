"""Revisions as people write them."""

import pytest

from qvdnode.image.core import revision
from qvdnode.image.core.refs import Ref
from qvdnode.image.core.revision import Revision
from qvdnode.model.errors import Invalid

MAIN = Ref("icewm", "main")


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ("icewm", Revision(MAIN, None, 0, 0)),
        ("icewm~", Revision(MAIN, None, 0, 1)),
        ("icewm/test~2", Revision(Ref("icewm", "test"), None, 0, 2)),
        ("icewm:3", Revision(Ref("icewm", "3", tag=True), None, 0, 0)),
        ("icewm@{1}", Revision(MAIN, None, 1, 0)),
        ("icewm@{2}~3", Revision(MAIN, None, 2, 3)),
        ("abc123", Revision(Ref("abc123", "main"), "abc123", 0, 0)),
        ("abc123~", Revision(Ref("abc123", "main"), "abc123", 0, 1)),
        ("abc12", Revision(Ref("abc12", "main"), None, 0, 0)),
    ],
)
def test_a_revision_is_understood(text: str, meaning: Revision) -> None:
    assert revision.parse(text) == meaning


@pytest.mark.parametrize(
    "text", ["", "~1", "icewm^", "icewm:", "a/b/c", "a b", "icewm@{x}", "../x", "icewm~x", "a:b:c"]
)
def test_anything_else_is_told_how_to_write(text: str) -> None:
    with pytest.raises(Invalid):
        revision.parse(text)


def test_branches_and_tags_are_told_apart() -> None:
    assert revision.parse_branch("icewm/test") == Ref("icewm", "test")
    assert revision.parse_tag("icewm:good") == Ref("icewm", "good", tag=True)
    assert revision.parse_ref("icewm/test") == Ref("icewm", "test")
    assert revision.parse_ref("icewm:good") == Ref("icewm", "good", tag=True)
    for text in ("icewm:3", "icewm~1", "icewm@{0}"):
        with pytest.raises(Invalid, match="not a branch"):
            revision.parse_branch(text)
    for text in ("icewm", "icewm:3~"):
        with pytest.raises(Invalid, match="not a tag"):
            revision.parse_tag(text)
