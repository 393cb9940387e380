"""Texts that two sides changed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qvdnode.image.core.three_way import (
    merge_accounts,
    merge_lines,
    merge_status,
    merge_text,
    paragraphs,
    winner,
)

LINES = st.lists(st.sampled_from("abcdef"), max_size=8)


@pytest.mark.parametrize(
    ("old", "one", "two", "merged"),
    [
        ("abc", "abc", "abc", "abc"),
        ("abc", "xabc", "abcy", "xabcy"),
        ("abc", "bc", "abX", "bX"),
        ("abcde", "aBcde", "abcDe", "aBcDe"),
        ("abc", "aXc", "aXc", "aXc"),
        ("abc", "aXc", "aYc", None),
        ("abc", "abcX", "abcY", None),
        ("", "x", "", "x"),
    ],
)
def test_lines_are_merged_unless_both_changed_a_place(
    old: str, one: str, two: str, merged: str | None
) -> None:
    found = merge_lines(list(old), list(one), list(two))
    assert found == (None if merged is None else list(merged))


@given(LINES, LINES)
def test_one_change_alone_is_taken_whole(old: list[str], new: list[str]) -> None:
    assert merge_lines(old, new, old) == new
    assert merge_lines(old, old, new) == new
    assert merge_lines(old, new, new) == new


@given(LINES, LINES, LINES)
def test_it_does_not_matter_whose_change_is_first(
    old: list[str], one: list[str], two: list[str]
) -> None:
    assert merge_lines(old, one, two) == merge_lines(old, two, one)


def test_what_is_no_text_is_not_merged() -> None:
    assert merge_text(b"a\nb\nc\n", b"A\nb\nc\n", b"a\nb\nC") == b"A\nb\nC"
    assert merge_text(b"a\nb\nc\n", b"A\nb\nc\n", b"\xff\nb\nc\n") is None
    assert merge_text(b"a\nb\nc\n", b"A\nb\nc\n", b"a\nb\n\0\n") is None
    assert merge_text(b"a\n", b"b\n", b"c\n") is None


def test_accounts_are_merged_by_name() -> None:
    old = b"root:0\ndaemon:1\ngames:5\nlp:7\nnews:9\n"
    new = b"root:0\ndaemon:one\nlp:7\nnews:x\nsshd:100\n"  # games is gone, sshd came
    user = b"root:secret\ndaemon:1\ngames:5\nalice:1000\nnews:y\n"  # lp is gone, alice came
    assert merge_accounts(old, new, user) == (
        b"root:secret\ndaemon:one\nnews:y\nsshd:100\nalice:1000\n"
    )
    # An account that the base removed and the user changed stays.
    assert merge_accounts(b"x:1\n", b"", b"x:2\n") == b"x:2\n"


def package(name: str, version: str, state: str = "installed") -> str:
    return f"Package: {name}\nStatus: install ok {state}\nArchitecture: amd64\nVersion: {version}"


def status(*texts: str) -> bytes:
    return "".join(f"{text}\n\n" for text in texts).encode()


@pytest.mark.parametrize(
    ("old", "new", "user", "whose"),
    [
        ("1", "2", "1", "base"),
        ("1", "1", "2", "user"),
        ("1", "2", "2", "base"),
        ("1", "2", "3", "user"),
        ("1", "3", "2", "base"),
        (None, None, "1", "user"),
        (None, "1", None, "base"),
        (None, "2", "1", "base"),
        ("1", "1", None, "user"),
        ("1", "2", None, "user"),
        ("1", None, "1", "base"),
        ("1", None, "2", "user"),
    ],
)
def test_whose_package_it_is(
    old: str | None, new: str | None, user: str | None, whose: str
) -> None:
    sides = [None if side is None else package("x", side) for side in (old, new, user)]
    assert winner(*sides) == whose


def test_the_database_of_dpkg_has_each_package_once() -> None:
    old = status(package("libc6", "1"), package("vim", "1"), package("nano", "1"))
    new = status(package("libc6", "2"), package("vim", "1"), package("nano", "2"), "Odd: 1")
    user = status(
        package("libc6", "1"), package("nano", "1", "deinstall ok config-files"),
        package("htop", "3"),
    )  # fmt: skip
    merged = paragraphs(merge_status(old, new, user))
    assert list(merged) == ["libc6:amd64", "nano:amd64", "htop:amd64"]
    assert "Version: 2" in merged["libc6:amd64"]
    assert "config-files" in merged["nano:amd64"]
    # A mark of the user's on an unchanged package stays.
    held = package("libc6", "1").replace("install ok", "hold ok")
    assert b"hold ok" in merge_status(
        status(package("libc6", "1")), status(package("libc6", "1")), status(held)
    )
    assert paragraphs(b"Package: plain\n\n") == {"plain": "Package: plain"}
