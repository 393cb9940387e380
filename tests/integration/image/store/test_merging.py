"""Commits that are merged and undone in a real store."""

import shutil
from pathlib import Path

import pytest

from qvdnode.image.core.refs import Ref
from qvdnode.image.store.merging import MergeResult, MergeWish, Merging
from qvdnode.model.errors import Conflict, Invalid, NotFound
from tests.integration.image.store.made import (
    branches_of,
    committed,
    findings,
    new_store,
    small_tree,
)  # fmt: skip

MAIN, TEST = Ref("office", "main"), Ref("office", "test")
PACKAGE = "Package: {0}\nStatus: install ok installed\nVersion: {1}\n\n"
WISH = MergeWish("ana")


class Two:
    """A store with two branches that come from one commit."""

    def __init__(self, folder: Path) -> None:
        self.store = new_store(folder)
        self.branches = branches_of(self.store)
        self.merging = Merging(self.store, self.branches, 0)
        self.main, self.test = folder / "main", folder / "test"
        small_tree(self.main, "one")
        (self.main / "opt").mkdir()
        (self.main / "opt/x").write_text("one")
        (self.main / "etc/lines").write_text("\n".join(f"line {n}" for n in range(40)))
        self.packages(self.main, bash="1")
        shutil.copytree(self.main, self.test, symlinks=True)
        self.base = committed(self.store, self.main)
        for branch in (MAIN, TEST):
            self.branches.move(branch, old=None, new=self.base, who="ana", why="")

    def packages(self, root: Path, **versions: str) -> None:
        status = root / "var/lib/dpkg/status"
        status.parent.mkdir(parents=True, exist_ok=True)
        status.write_text("".join(PACKAGE.format(*item) for item in versions.items()))

    def commit(self, branch: Ref, root: Path) -> str:
        old = self.branches.get(branch)
        assert old is not None
        name = committed(self.store, root, old)
        self.branches.move(branch, old=old, new=name, who="ana", why="")
        return name

    def content(self, name: str, path: bytes) -> bytes:
        node = self.store.tree(name)[path]
        return node.payload if node.kind == "i" else self.store.content(node.payload.decode())

    def merge(self, take: str = "") -> MergeResult:
        return self.merging.merge(MAIN, "office/test", MergeWish("ana", "both", take))


@pytest.fixture
def two(tmp_path: Path) -> Two:
    return Two(tmp_path)


def test_both_changes_are_in_the_merge(two: Two) -> None:
    with (two.main / "etc/lines").open("a") as stream:
        stream.write("\nthe end")
    two.packages(two.main, bash="2", nano="1")
    ours = two.commit(MAIN, two.main)
    text = (two.test / "etc/lines").read_text()
    (two.test / "etc/lines").write_text(f"start\n{text}")
    two.packages(two.test, bash="1", vim="9")
    (two.test / "opt/big").write_bytes(bytes(10_000))
    (two.test / "opt/x").unlink()
    theirs = two.commit(TEST, two.test)
    made = two.merge()
    assert made.kind == "merged"
    assert two.branches.get(MAIN) == made.commit
    assert two.branches.moves(MAIN)[0].why == "both"
    assert two.store.commit(made.commit).parents == (ours, theirs)
    assert two.content(made.commit, b"/etc/lines") == f"start\n{text}\nthe end".encode()
    status = two.content(made.commit, b"/var/lib/dpkg/status").decode()
    assert [line for line in status.splitlines() if "Package" in line or "Version" in line] == [
        "Package: bash", "Version: 2", "Package: vim", "Version: 9", "Package: nano", "Version: 1",
    ]  # fmt: skip
    tree = two.store.tree(made.commit)
    assert b"/opt/x" not in tree
    assert tree[b"/opt/big"].size == 10_000
    assert findings(two.store) == []
    assert two.merge().kind == "nothing"


def test_a_branch_that_has_nothing_of_its_own_moves_forward(two: Two) -> None:
    (two.test / "opt/x").write_text("two")
    theirs = two.commit(TEST, two.test)
    assert two.merge() == MergeResult(theirs, "forward")
    assert two.branches.get(MAIN) == theirs


def test_what_both_changed_stops_it_until_a_side_is_taken(two: Two) -> None:
    (two.main / "opt/x").write_text("ours")
    (two.test / "opt/x").write_text("theirs")
    ours, theirs = two.commit(MAIN, two.main), two.commit(TEST, two.test)
    with pytest.raises(Conflict, match=r"1 path: /opt/x \(both sides changed it\).*-X ours"):
        two.merge()
    assert two.branches.get(MAIN) == ours
    made = two.merge("theirs")
    assert two.content(made.commit, b"/opt/x") == b"theirs"
    assert two.store.commit(made.commit).parents == (ours, theirs)
    two.branches.move(MAIN, old=made.commit, new=ours, who="ana", why="")
    assert two.content(two.merge("ours").commit, b"/opt/x") == b"ours"
    assert findings(two.store) == []


def test_types_that_differ_are_never_settled(two: Two) -> None:
    for root in (two.main, two.test):
        (root / "opt/x").unlink()
    (two.main / "opt/x").mkdir()
    (two.test / "opt/x").symlink_to("y")
    two.commit(MAIN, two.main)
    two.commit(TEST, two.test)
    for take in ("", "ours", "theirs"):
        with pytest.raises(Conflict, match="type of file"):
            two.merge(take)


def test_many_contested_paths_are_counted(two: Two) -> None:
    for root in (two.main, two.test):
        for number in range(8):
            (root / f"opt/{number}").write_text(f"{root.name} {number}")
    two.commit(MAIN, two.main)
    two.commit(TEST, two.test)
    with pytest.raises(Conflict, match=r"changed 8 paths: .*, and 3 more\."):
        two.merge()


def test_a_commit_is_undone_and_what_came_later_stays(two: Two) -> None:
    (two.main / "opt/x").write_text("wrong")
    (two.main / "opt/y").write_text("wrong")
    wrong = two.commit(MAIN, two.main)
    (two.main / "opt/later").write_text("later")
    head = two.commit(MAIN, two.main)
    made = two.merging.revert(MAIN, wrong, WISH)
    assert two.store.commit(made.commit).parents == (head,)
    assert two.store.commit(made.commit).message == f"revert {wrong[:12]}"
    tree = two.store.tree(made.commit)
    assert tree[b"/opt/x"].payload == b"one"
    assert b"/opt/y" not in tree
    assert tree[b"/opt/later"].payload == b"later"
    again = two.merging.revert(MAIN, made.commit, WISH)
    assert two.store.tree(again.commit) == two.store.tree(head)
    assert findings(two.store) == []


def test_what_cannot_be_merged_or_undone_is_told(two: Two, tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="first commit"):
        two.merging.revert(MAIN, two.base, WISH)
    with pytest.raises(NotFound, match="no branch office/none"):
        two.merging.merge(Ref("office", "none"), "office", WISH)
    alone = committed(two.store, small_tree(tmp_path / "alone", "alone"))
    with pytest.raises(Conflict, match="no commit in common"):
        two.merging.merge(MAIN, alone, WISH)
