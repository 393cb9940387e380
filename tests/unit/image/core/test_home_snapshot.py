"""What is kept of a home, and what of it is believed."""

import hashlib
import json
import zlib
from dataclasses import astuple, replace
from typing import Any

import pytest

from qvdnode.image.core import home_snapshot
from qvdnode.image.core.home_snapshot import (
    Entry,
    Head,
    Kind,
    Snapshot,
    decode,
    encode,
    newest,
)
from qvdnode.model.errors import Invalid, NotFound

DIGEST = "ab" * 32
HEAD = Head(5, "alice", "acme", "2026-11-01T10-00-00Z", 512)
HOME = Entry("", Kind.FOLDER, 0o700, 1000, 1000, 1)
DOCS = Entry("docs", Kind.FOLDER, 0o755, 1000, 1000, 2, attributes=(("user.tag", "00ff"),))
FILE = Entry("docs/a", Kind.FILE, 0o644, 1000, 1000, 3, 4, 77, 2_000_000, ((1, DIGEST),))
OTHER = replace(FILE, path="docs/\udcff", kind=Kind.HARD_LINK, target="docs/a")
LINK = Entry("link", Kind.LINK, 0o777, 1000, 1000, 5, target="/etc/passwd")
ALL = Snapshot(HEAD, (HOME, DOCS, FILE, OTHER, LINK, replace(FILE, path="docs2")))


def sealed(*lines: Any) -> bytes:
    return sealed_text(b"".join(json.dumps(line).encode() + b"\n" for line in lines))


def sealed_text(text: bytes) -> bytes:
    return zlib.compress(text + hashlib.sha256(text).hexdigest().encode())


def test_it_is_read_as_it_was_written() -> None:
    assert decode(encode(ALL)) == ALL
    assert ALL.blocks() == {DIGEST}
    assert ALL.needs_mib() > 64


@pytest.mark.parametrize(
    "content", [b"", b"nonsense", encode(ALL)[:-9], sealed([2]), zlib.compress(b"x" * 200)]
)
def test_what_is_damaged_or_newer_is_refused(content: bytes) -> None:
    with pytest.raises(Invalid):
        decode(content)


@pytest.mark.parametrize(
    "lines",
    [
        [],
        [None],
        [[1, 5, "alice", "acme", HEAD.made_at, 0]],
        [[2, 5, "alice", "acme", HEAD.made_at, 0], astuple(HOME)],
        [[1, 5, "alice", "acme", "../../../../etc", 0], astuple(HOME)],
        [[1, 5, "alice", "acme", HEAD.made_at + "/x", 0], astuple(HOME)],
        [[1, -5, "alice", "acme", HEAD.made_at, 0], astuple(HOME)],
        [[1, 5, "alice", "acme", HEAD.made_at, 1 << 40], astuple(HOME)],
        [[1, *astuple(HEAD)], ["a"]],
        [[1, *astuple(HEAD)], [["a"]] * 12],
    ],
)
def test_what_is_no_snapshot_is_refused(lines: list[Any]) -> None:
    with pytest.raises(Invalid):
        decode(sealed(*lines))


def test_json_without_end_is_refused() -> None:
    with pytest.raises(Invalid):
        decode(sealed_text(b"[" * 100_000 + b"\n"))


def test_what_grows_beyond_measure_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(home_snapshot, "TEXT_BYTES_MAX", 100_000)
    with pytest.raises(Invalid, match="longer"):
        decode(sealed_text(bytes(100_000)))
    with pytest.raises(Invalid, match="do not fit"):
        encode(Snapshot(HEAD, (HOME,) * 2_000))


@pytest.mark.parametrize(
    ("entry", "changes"),
    [
        (FILE, {"mode": 0o100644}),
        (FILE, {"mode": -1}),
        (FILE, {"mode": "0644"}),
        (FILE, {"owner": 0xFFFF_FFFF}),
        (FILE, {"group": 1.0}),
        (FILE, {"size": True}),
        (FILE, {"modified_ns": 1 << 70}),
        (FILE, {"blocks": ((7, DIGEST),)}),
        (FILE, {"blocks": ((-1, DIGEST),)}),
        (FILE, {"attributes": (("security.capability", "00"),)}),
        (FILE, {"attributes": (("trusted.overlay.redirect", "00"),)}),
        (FILE, {"attributes": (("user.tag", "zz"),)}),
        (FILE, {"path": 7}),
        (FILE, {"kind": "device"}),
        (LINK, {"target": ""}),
        (LINK, {"target": "a\0b"}),
    ],
)
def test_what_can_be_true_of_no_file_is_refused(entry: Entry, changes: dict[str, Any]) -> None:
    with pytest.raises(Invalid):
        decode(encode(Snapshot(HEAD, (HOME, replace(entry, **changes)))))


@pytest.mark.parametrize(
    "entry",
    [
        replace(FILE, path="../a"),
        replace(FILE, path="/etc/a"),
        replace(FILE, path="a//b"),
        replace(FILE, path="a\0b"),
        replace(OTHER, target="../../etc/shadow"),
        replace(FILE, blocks=((0, "../../" + DIGEST),)),
    ],
)
def test_nothing_may_lead_out_of_a_home(entry: Entry) -> None:
    with pytest.raises(Invalid):
        decode(encode(Snapshot(HEAD, (entry,))))


def test_a_part_is_named_from_its_last_folder_on() -> None:
    assert ALL.below("/") == ALL.entries
    assert [entry.path for entry in ALL.below("docs/")] == ["docs", "docs/a", "docs/\udcff"]
    assert ALL.below("docs")[2].target == "docs/a"
    assert [entry.path for entry in ALL.below("docs/a")] == ["a"]
    with pytest.raises(NotFound):
        ALL.below("doc")


def test_a_hard_link_to_what_is_not_restored_is_a_file() -> None:
    (only,) = ALL.below("docs/\udcff")
    assert (only.kind, only.target, only.blocks) == (Kind.FILE, "", FILE.blocks)


@pytest.mark.parametrize(
    ("at", "found"),
    [("", "2026-11-03"), ("2026-11-02", "2026-11-01"), ("2026-11-03", "2026-11-03T10")],
)
def test_the_newest_until_a_moment_is_chosen(at: str, found: str) -> None:
    names = ["2026-11-03T10-00-00Z", "2026-11-01T10-00-00Z"]
    assert newest(names, at).startswith(found)
    with pytest.raises(NotFound):
        newest(names, "2026-10")


def test_a_file_that_was_touched_is_another() -> None:
    assert FILE.same_file(replace(FILE, path="moved"))
    assert not FILE.same_file(replace(FILE, changed_ns=5))
