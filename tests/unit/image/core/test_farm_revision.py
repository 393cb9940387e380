"""Revisions of an image, by what the farm knows."""

import pytest

from qvdnode.image.core.farm_revision import FarmView, branch_of, resolve
from qvdnode.model.errors import Invalid, NotFound

A, B, C, D = (letter * 64 for letter in "abcd")
VIEW = FarmView(
    image="office",
    versions={1: A, 2: B},
    heads={"main": B, "test": C},
    tags={"good": A},
    parents={A: (), B: (A,), C: (B,), "b" * 6 + "0" * 58: ()},
    moves={"main": [A, None], "test": []},
)


@pytest.mark.parametrize(
    ("text", "commit"),
    [
        ("", B),
        ("office", B),
        ("1", A),
        ("office:1", A),
        ("office:good", A),
        ("good", A),
        ("test", C),
        ("office/test", C),
        ("test~", B),
        ("test~2", A),
        ("~1", A),
        ("2~1", A),
        ("@{1}", A),
        ("main@{1}", A),
        ("office/main@{1}", A),
        ("cccccc", C),
    ],
)
def test_a_revision_means_a_commit(text: str, commit: str) -> None:
    assert resolve(VIEW, text) == commit


@pytest.mark.parametrize("text", ["9", "nobody", "~9", "@{3}", "@{2}", "dddddd", "office:bad"])
def test_what_the_farm_does_not_know_is_not_found(text: str) -> None:
    with pytest.raises(NotFound):
        resolve(VIEW, text)


@pytest.mark.parametrize("text", ["mail/test", "mail:1", "a b", "bbbbbb"])
def test_what_is_no_revision_of_it_is_refused(text: str) -> None:
    with pytest.raises(Invalid):
        resolve(VIEW, text)


def test_the_branch_whose_log_is_needed_is_known_before() -> None:
    names = ["main@{1}", "office/test@{2}~3", "@{1}", "test", "office~2"]
    assert [branch_of(name) for name in names] == ["main", "test", "main", None, None]


def test_what_leads_to_a_commit_is_named() -> None:
    assert VIEW.names() == {
        A: ["office:good", "office:1"],
        B: ["office", "office:2"],
        C: ["office/test"],
    }
