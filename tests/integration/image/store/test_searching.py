"""Text and paths that are found in commits, and the commits that changed them."""

import os
from pathlib import Path

import pytest

from qvdnode.image.core.refs import Ref
from qvdnode.image.store.history import History
from qvdnode.image.store.searching import Match, Searching
from qvdnode.model.errors import Invalid, NotFound
from tests.integration.image.store.made import branches_of, committed, new_store, small_tree


class Searched:
    """A store with a history of a small tree."""

    def __init__(self, folder: Path) -> None:
        self.store = new_store(folder)
        branches = branches_of(self.store)
        self.root = small_tree(folder / "root", "one\nword two\n")
        (self.root / "etc/long").write_text("word" + "x" * 400)
        os.link(self.root / "etc/word", self.root / "etc/wort")
        self.first = committed(self.store, self.root, message="first")
        (self.root / "etc/new").write_text("word three")
        self.second = committed(self.store, self.root, self.first, message="second")
        (self.root / "etc/word").write_text("other\n")
        self.third = committed(self.store, self.root, self.second, message="third")
        branches.move(Ref("office", "main"), old=None, new=self.third, who="ana", why="")
        self.search = Searching(self.store, branches, History(self.store, branches))

    def lines(self, pattern: str, revision: str, below: bytes = b"/") -> list[Match]:
        steps: list[tuple[int, int]] = []
        found = list(self.search.lines(revision, pattern, below, lambda *s: steps.append(s)))
        assert not steps or steps[-1][0] == steps[-1][1]
        return found


@pytest.fixture
def searched(tmp_path: Path) -> Searched:
    return Searched(tmp_path)


def test_lines_are_found_with_their_numbers(searched: Searched) -> None:
    assert searched.lines("^word t", searched.second) == [
        Match(b"/etc/new", 1, b"word three"), Match(b"/etc/word", 2, b"word two"),
    ]  # fmt: skip
    assert searched.lines("^word t", "office") == [Match(b"/etc/new", 1, b"word three")]
    assert [len(match.text) for match in searched.lines("^wordx", "office")] == [200]
    assert searched.lines("word", searched.second, b"/etc/word/") == [
        Match(b"/etc/word", 2, b"word two")
    ]
    assert searched.lines("word", "office", b"/et") == []


def test_what_is_not_text_is_named_without_its_lines(searched: Searched) -> None:
    assert searched.lines("ABCDE", "office") == [Match(b"/etc/big"), Match(b"/etc/own")]


def test_paths_are_found(searched: Searched) -> None:
    assert searched.search.paths("office", "^/etc/wor[dt]$") == [
        Match(b"/etc/word"), Match(b"/etc/wort"),
    ]  # fmt: skip
    with pytest.raises(Invalid, match="not a regular expression"):
        searched.search.paths("office", "(")


def test_the_commit_that_last_changed_a_path(searched: Searched) -> None:
    def blamed(path: bytes, revision: str = "office") -> str:
        return searched.search.blame(revision, path).name

    assert blamed(b"/etc/word") == searched.third
    assert blamed(b"/etc/wort") == searched.third
    assert blamed(b"/etc/word", searched.second) == searched.first
    assert blamed(b"/etc/new") == searched.second
    assert blamed(b"/etc/big") == searched.first
    with pytest.raises(NotFound, match="/etc/none is not in office"):
        blamed(b"/etc/none")


def test_blame_ends_where_the_history_of_this_node_does(searched: Searched) -> None:
    searched.store.places.commit(searched.first).unlink()
    assert searched.search.blame("office", b"/etc/big").name == searched.second
