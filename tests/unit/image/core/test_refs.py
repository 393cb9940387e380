"""Names of branches and tags, and the log of their moves."""

import pytest

from qvdnode.image.core import refs
from qvdnode.image.core.refs import Move, Ref
from qvdnode.model.errors import BadImage, Invalid

A, B, C = ("a" * 64, "b" * 64, "c" * 64)


def move(old: str | None, new: str | None, ref: str = "heads/icewm/main") -> Move:
    return Move(ref, old, new, "ana", "because", 5)


@pytest.mark.parametrize(
    ("ref", "path", "short"),
    [
        (Ref("icewm", "main"), "heads/icewm/main", "icewm"),
        (Ref("icewm", "test"), "heads/icewm/test", "icewm/test"),
        (Ref("icewm", "3", tag=True), "tags/icewm/3", "icewm:3"),
    ],
)
def test_refs_have_a_path_and_a_short_name(ref: Ref, path: str, short: str) -> None:
    assert (ref.path, ref.short) == (path, short)
    assert refs.parse_path(path) == ref


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "-a", "a b", "x" * 65, "ä", "a\n"])
def test_no_ref_leads_out_of_the_store(name: str) -> None:
    with pytest.raises(Invalid):
        Ref("icewm", name)
    with pytest.raises(Invalid):
        Ref(name, "main")


def test_only_branches_and_tags_are_refs() -> None:
    with pytest.raises(Invalid, match="neither"):
        refs.parse_path("remotes/icewm/main")


def test_a_move_survives() -> None:
    for one in (move(None, A), move(A, None)):
        assert refs.decode_move(refs.encode_move(one)) == one


@pytest.mark.parametrize(
    "bad",
    [
        b"",
        b"{}",
        b"[]",
        b"7",
        refs.encode_move(move(None, A))[:40],
        refs.encode_move(move(None, A)).replace(b"heads/", b"../"),
        refs.encode_move(move(None, A)).replace(b'"at":5', b'"at":"5"'),
        refs.encode_move(move(None, A)).replace(b'"who":"ana"', b'"who":7'),
        refs.encode_move(move("x", A)),
    ],
)
def test_a_broken_line_is_refused(bad: bytes) -> None:
    with pytest.raises(BadImage):
        refs.decode_move(bad)


def test_only_moves_that_took_place_count() -> None:
    made, lost, again, last = move(None, A), move(A, B), move(A, B), move(B, C)
    assert refs.effective([made, lost, again, last], C) == [last, again, made]
    assert refs.effective([made, lost], A) == [made]
    assert refs.effective([made, move(A, None)], None) == [move(A, None), made]
    assert refs.effective([], A) == []
