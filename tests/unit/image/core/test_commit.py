"""Commits: canonical bytes, and nothing else is taken."""

import json
from dataclasses import asdict, replace
from typing import Any

import pytest

from qvdnode.image.core import commit as commits
from qvdnode.image.core.commit import Commit
from qvdnode.model.errors import BadImage

NAME = "0" * 64
GOOD = Commit(NAME, (NAME, "1" * 64), "ana", 1_700_000_000, "mañana\n", "tar", 7, {"a": "b"})


def test_a_commit_survives_with_its_name() -> None:
    raw = commits.encode(GOOD)
    assert commits.decode(raw) == GOOD
    assert commits.is_name(commits.name_of(raw))
    assert commits.name_of(commits.encode(replace(GOOD, message="x"))) != commits.name_of(raw)
    assert GOOD.at.year == 2023


def changed(**values: Any) -> bytes:
    facts = {"version": 1, **asdict(GOOD), **values}
    return json.dumps(facts, sort_keys=True, separators=(",", ":")).encode() + b"\n"


@pytest.mark.parametrize(
    "bad",
    [
        b"",
        b"[]\n",
        b"{}\n",
        b"[" * 100_000,
        commits.encode(GOOD)[:-1],
        b" " + commits.encode(GOOD),
        commits.encode(GOOD).replace(b'"author":"ana",', b""),
        b"x" * (commits.COMMIT_MAX + 1),
        changed(version=2),
        changed(extra=1),
        changed(manifest="x"),
        changed(manifest=1),
        changed(parents=None),
        changed(parents=["x"]),
        changed(parents=[NAME] * 17),
        changed(message="x" * 5_000),
        changed(message=["x"]),
        changed(labels={"a": 1}),
        changed(labels=[]),
        changed(made_at=-1),
        changed(made_at=True),
        changed(size_bytes=0.5),
    ],
)
def test_anything_else_is_refused(bad: bytes) -> None:
    with pytest.raises(BadImage):
        commits.decode(bad)
