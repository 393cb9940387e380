"""The order of a log."""

from dataclasses import replace

from qvdnode.image.core.commit import Commit
from qvdnode.image.core.commit_log import newest_first

FIRST = Commit("0" * 64, (), "ana", 1, "", "", 0)
KNOWN = {
    "a": FIRST,
    "b": replace(FIRST, parents=("a",), made_at=5),
    "c": replace(FIRST, parents=("a", "gone"), made_at=5),
    "d": replace(FIRST, parents=("b", "c"), made_at=5),
}


def test_newer_commits_come_first_and_each_once() -> None:
    assert [name for name, _ in newest_first("d", KNOWN.get)] == ["d", "b", "c", "a"]


def test_a_log_ends_where_the_limit_or_what_is_known_does() -> None:
    assert [name for name, _ in newest_first("d", KNOWN.get, 2)] == ["d", "b"]
    assert newest_first("gone", KNOWN.get) == []
