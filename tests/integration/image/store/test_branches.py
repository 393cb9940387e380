"""Branches and tags: compare and swap, the log, and revisions."""

from pathlib import Path

import pytest

from qvdnode.image.core.refs import MAIN, Ref
from qvdnode.image.store.branches import Branches
from qvdnode.image.store.repository import Repository
from qvdnode.model.errors import BadImage, Conflict, Invalid, NotFound
from tests.integration.image.store.made import branches_of, committed, new_store, small_tree

HEAD, TAG = Ref("icewm", MAIN), Ref("icewm", "1", tag=True)


@pytest.fixture
def store(tmp_path: Path) -> Repository:
    return new_store(tmp_path)


@pytest.fixture
def branches(store: Repository) -> Branches:
    return branches_of(store)


@pytest.fixture
def history(store: Repository, branches: Branches, tmp_path: Path) -> list[str]:
    """Three commits, each after the other, on main; the first has a tag."""
    names: list[str] = []
    for word in ("one", "two", "three"):
        parents = names[-1:]
        names.append(committed(store, small_tree(tmp_path / word, word), *parents, message=word))
        branches.advance(HEAD, names[-1], who="ana", why=word)
    branches.move(TAG, old=None, new=names[0], who="ana", why="tag")
    return names


def test_revisions_lead_to_commits(branches: Branches, history: list[str]) -> None:
    one, two, three = history
    for text, name in (
        ("icewm", three), ("icewm~", two), ("icewm~2", one), ("icewm@{1}", two),
        ("icewm@{2}", one), ("icewm@{1}~1", one), ("icewm:1", one), (two[:8], two), (two, two),
        (f"{three[:10]}~2", one),
    ):  # fmt: skip
        assert branches.resolve(text) == name, text
    for text in ("icewm~3", "icewm@{3}", "icewm:2", "icewm/test", "xfce", "0" * 64):
        with pytest.raises(NotFound):
            branches.resolve(text)


def test_a_branch_moves_only_from_where_it_is(branches: Branches, history: list[str]) -> None:
    one, two, three = history
    for old in (None, two):
        with pytest.raises(Conflict, match=three[:12]):
            branches.move(HEAD, old=old, new=one, who="eva", why="late")
    branches.move(HEAD, old=three, new=one, who="eva", why="rollback")
    assert branches.get(HEAD) == one
    last = branches.moves(HEAD)[0]
    assert (last.old, last.new, last.who, last.why) == (three, one, "eva", "rollback")
    assert len(branches.moves(HEAD)) == 4
    with pytest.raises(NotFound):
        branches.move(HEAD, old=one, new="0" * 64, who="eva", why="nowhere")
    with pytest.raises(Conflict, match="exists already"):
        branches.move(TAG, old=None, new=two, who="eva", why="x")
    with pytest.raises(Conflict, match="does not exist"):
        branches.move(Ref("icewm", "test"), old=one, new=two, who="eva", why="x")


def test_tags_never_move(branches: Branches, history: list[str]) -> None:
    with pytest.raises(Conflict, match="tags never move"):
        branches.move(TAG, old=history[0], new=history[1], who="eva", why="x")
    branches.move(TAG, old=history[0], new=None, who="eva", why="delete")
    assert branches.get(TAG) is None


def test_an_image_is_dropped_with_all_its_names(branches: Branches, history: list[str]) -> None:
    other = Ref("icewm2", MAIN)
    branches.advance(other, history[0], who="eva", why="x")
    branches.drop_image("icewm", who="eva", why="gone")
    assert branches.all() == {other: history[0]}
    assert {move.ref for move in branches.logged_since(0)} == {other.path}


def test_damage_is_told_and_does_not_spread(
    store: Repository, branches: Branches, history: list[str]
) -> None:
    (store.places.refs / "heads/icewm/odd").write_text("nothing\n")
    (store.places.refs / "heads/icewm/.hidden").write_text("x")
    with pytest.raises(BadImage, match="heads/icewm/odd is damaged"):
        branches.get(Ref("icewm", "odd"))
    assert len(branches.damaged()) == 1
    assert set(branches.all()) == {HEAD, TAG}
    with store.places.reflog.open("ab") as stream:
        stream.write(b'{"ref":')
    branches.move(HEAD, old=history[2], new=history[1], who="eva", why="x")
    assert len(branches.moves(HEAD)) == 4


def test_the_start_of_two_commits_is_no_name(
    store: Repository, branches: Branches, history: list[str]
) -> None:
    twin = history[0][:10] + "0" * 54
    store.places.commit(twin).write_bytes(store.places.commit(history[0]).read_bytes())
    with pytest.raises(Invalid, match="2 commits"):
        branches.resolve(history[0][:8])
