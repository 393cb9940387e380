"""`qvdnode image`: the tutorial, line by line, and what each command says and exits with."""

import json
import os
import re
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from qvdnode.cli.exit_codes import ExitCode
from qvdnode.cli.qvdnode.program import app
from qvdnode.host import mounts
from tests.fixtures_image import STATE
from tests.integration.image.store.made import BIG, small_tree
from tests.sources import ROOT

pytestmark = pytest.mark.mounts
PACKAGE = "Package: {0}\nStatus: install ok installed\nVersion: {1}\n\n"


class Node:
    """A state folder with a root file system to commit."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.rootfs = small_tree(folder / "rootfs", "one")
        self.config = folder / "node.toml"
        self.config.write_text(f'[node]\nstate_dir = "{folder}/state"\n')
        (folder / "state").mkdir()

    def run(self, *words: str) -> Result:
        """One command of `qvdnode image`."""
        return CliRunner().invoke(app, ["image", *words, "--config", str(self.config)])

    def done(self, *words: str) -> str:
        """What a command says that must succeed."""
        said = self.run(*words)
        assert said.exit_code == 0, said.output
        return said.stdout

    def json(self, *words: str) -> Any:
        """What a command says to programs."""
        return json.loads(self.done(*words, "--json"))

    def commit(self, message: str, branch: str = "office") -> str:
        """Commit the folder."""
        made = self.json("commit", branch, str(self.rootfs), "-m", message)
        assert isinstance(made["commit"], str)
        return made["commit"]

    def objects(self) -> Iterator[Path]:
        """The files of all objects."""
        return (self.folder / "state/images/store/objects").glob("*/*")

    def packages(self, **versions: str) -> None:
        """Write the database of dpkg."""
        status = self.rootfs / "var/lib/dpkg/status"
        status.parent.mkdir(parents=True, exist_ok=True)
        status.write_text("".join(PACKAGE.format(*item) for item in versions.items()))


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    folder = STATE / f"image-{tmp_path.name}-{os.getpid()}"
    folder.mkdir(parents=True)
    yield Node(folder)
    for point in mounts.under(folder):
        mounts.unmount(point)
    shutil.rmtree(folder)


def test_the_tutorial_works_line_by_line(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    text = (ROOT / "docs/images.md").read_text()
    tour = text.partition("## On one node")[2].partition("## What happens")[0]
    lines = re.findall(r"^    (\S.*)$", tour, re.MULTILINE)
    assert len(lines) > 20
    monkeypatch.chdir(node.folder)
    for line in lines:
        words = shlex.split(line)
        if words[0] == "touch":
            Path(words[1]).touch()
            continue
        assert words[:2] == ["qvdnode", "image"]
        node.done(*words[2:])
    assert mounts.under(node.folder) == []


def test_history_is_told(node: Node) -> None:
    node.packages(bash="1", nano="1")
    first = node.commit("first")
    node.packages(bash="2", vim="9")
    (node.rootfs / "etc/big").chmod(0o600)
    second = node.commit("second\x1b[31m")
    log = node.json("log", "office")
    assert [row["commit"] for row in log] == [second, first]
    assert log[0]["parents"] == [first]
    assert [row["refs"] for row in log] == [["office"], []]
    said = node.done("log", "office", "-n", "1")
    assert second[:12] in said
    assert first[:12] not in said
    assert "\x1b" not in said
    shown = node.json("show", "office")
    assert (shown["changes"]["modified"], shown["packages_changed"]) == (2, 3)
    assert {row["path"]: row["aspects"] for row in node.json("diff", "office")} == {
        "/etc/big": ["mode"], "/var/lib/dpkg/status": ["content", "mtime"],
    }  # fmt: skip
    assert "M mode     /etc/big" in node.done("diff", "office~", "office")
    assert node.json("diff", "office", "--packages") == [
        {"package": "bash", "old": "1", "new": "2"},
        {"package": "nano", "old": "1", "new": None},
        {"package": "vim", "old": None, "new": "9"},
    ]
    assert "2 paths changed: 0 added, 2 modified, 0 deleted" in node.done(
        "diff", "office", "--stat"
    )
    assert node.json("diff", first, "--stat")["added"] == 10


def test_branches_tags_and_the_way_back(node: Node) -> None:
    first = node.commit("first")
    (node.rootfs / "etc/word").write_text("two")
    second = node.commit("second")
    node.done("tag", "office:good", "office~1")
    node.done("branch", "office/test", "office:good")
    third = node.commit("third", "office/test")
    assert node.json("log", "office/test")[0]["parents"] == [first]
    names = {row["name"]: row["commit"] for row in node.json("branch")}
    assert names == {"office/main": second, "office/test": third}
    assert [row["commit"] for row in node.json("tag")] == [first]
    assert node.json("rollback", "office")["commit"] == first
    assert [row["commit"] for row in node.json("reflog", "office")] == [first, second, first]
    assert node.json("rollback", "office", "--to", "office/test")["old"] == first
    assert "is deleted" in node.done("branch", "-d", "office/test")
    assert [row["name"] for row in node.json("branch")] == ["office/main"]


def test_branches_come_together_and_commits_are_undone(node: Node) -> None:
    first = node.commit("first")
    node.done("branch", "office/test")
    (node.rootfs / "etc/word").write_text("two")
    test = node.commit("second", "office/test")
    moved = node.json("merge", "office", "office/test")
    assert (moved["kind"], moved["commit"], moved["settled"]) == ("forward", test, [])
    assert "has that already" in node.done("merge", "office", "office/test")
    (node.rootfs / "etc/word").write_text("three")
    node.commit("third", "office/test")
    (node.rootfs / "etc/word").write_text("four")
    head = node.commit("fourth")
    refused = node.run("merge", "office", "office/test")
    assert refused.exit_code == ExitCode.FAILED
    assert "/etc/word (both sides changed it)" in refused.output
    taken = node.done("merge", "office", "office/test", "-X", "theirs")
    assert "/etc/word: both sides changed it" in taken
    assert node.json("grep", "^three", "office") == [
        {"path": "/etc/word", "line": 1, "text": "three"},
    ]
    assert node.json("log", "office", "-n", "1")[0]["parents"][0] == head
    made = node.json("revert", "office", "-m", "back")
    assert made["kind"] == "merged"
    assert "/etc/word:1:four" in node.done("grep", "^four", "office", "/etc/word")
    assert node.json("blame", "office", "etc/word")["message"] == "back"
    assert node.json("blame", "office", "/etc/big")["commit"] == first
    assert node.done("grep", "wor", "office", "--names", "/etc").strip() == "/etc/word"
    nothing = node.run("grep", "not there", "office")
    assert (nothing.exit_code, nothing.stdout) == (ExitCode.FAILED, "")


WRONG: list[tuple[tuple[str, ...], ExitCode, str]] = [
    (("log", "other"), ExitCode.NOT_FOUND, "no image, branch, tag or commit other"),
    (("log", "a b"), ExitCode.USAGE, "not a revision"),
    (("tag", "office:good"), ExitCode.FAILED, "exists"),
    (("tag", "office:7"), ExitCode.USAGE, "versions of images"),
    (("branch", "office/main"), ExitCode.FAILED, "exists already"),
    (("branch", "-d", "office/none"), ExitCode.NOT_FOUND, "no office/none"),
    (("rollback", "office"), ExitCode.NOT_FOUND, "no image, branch, tag or commit"),
    (("rollback", "office/none"), ExitCode.NOT_FOUND, "no branch"),
    (("diff", "office", "--stat", "--packages"), ExitCode.USAGE, "not both"),
    (("merge", "office", "office/none"), ExitCode.NOT_FOUND, "no image, branch, tag or commit"),
    (("revert", "office"), ExitCode.USAGE, "first commit"),
    (("revert", "office/none"), ExitCode.NOT_FOUND, "no branch"),
    (("grep", "(", "office"), ExitCode.USAGE, "not a regular expression"),
    (("blame", "office", "/none"), ExitCode.NOT_FOUND, "is not in office"),
    (("checkout", "--end", "none"), ExitCode.NOT_FOUND, "no checkout"),
    (("checkout", "office", "--name", "../x"), ExitCode.USAGE, "not a name"),
]


def test_what_cannot_be_is_told_with_its_exit_code(node: Node) -> None:
    early = node.run("log", "office")
    assert early.exit_code == ExitCode.NOT_FOUND
    assert "has no commits yet" in early.output
    node.commit("first")
    node.done("tag", "office:good")
    for words, code, sentence in WRONG:
        said = node.run(*words)
        assert said.exit_code == code, (words, said.output)
        assert sentence in said.output, words


def test_a_checkout_shows_the_tree(node: Node) -> None:
    commit = node.commit("first")
    (node.rootfs / "etc/word").write_text("changed")
    made = node.json("checkout", "office~0", "--name", "look")
    assert (Path(made["folder"]) / "etc/word").read_text() == "one"
    (listed,) = node.json("checkout")
    assert (listed["name"], listed["commit"]) == ("look", commit)
    status = node.json("status")
    assert (status["checkouts"], status["commits"]) == (["look"], 1)
    node.done("branch", "-d", "office")
    assert node.json("gc", "--grace-s", "0")["commits"] == 0
    node.done("checkout", "--end", "look")
    assert mounts.under(node.folder) == []


def test_what_nothing_needs_is_removed(node: Node) -> None:
    node.commit("first")
    (node.folder / "state/images/store/refs/heads/office/main").unlink()
    assert node.json("gc", "--dry-run")["commits"] == 1
    assert "1 commit would be removed; 2 objects" in node.done("gc", "--dry-run")
    assert "2 objects" in node.done("gc")
    assert node.json("status")["quarantine_bytes"] > 0
    assert node.json("gc", "--grace-s", "0")["deleted"] == 2
    assert list(node.objects()) == []


def test_damage_is_named_down_to_the_path(node: Node) -> None:
    commit = node.commit("first")
    assert "all sound" in node.done("verify")
    damaged = next(path for path in node.objects() if path.read_bytes() == BIG)
    damaged.write_bytes(bytes(len(BIG)))
    assert "all sound" in node.done("verify", "--quick")
    said = node.run("verify")
    assert said.exit_code == ExitCode.FAILED
    for part in ("another digest", commit[:12], "(office)", "/etc/big", "1 finding"):
        assert part in said.stdout
    damaged.unlink()
    assert node.run("verify", "--quick").exit_code == ExitCode.FAILED
    node.commit("again")
    assert "all sound" in node.done("verify")
