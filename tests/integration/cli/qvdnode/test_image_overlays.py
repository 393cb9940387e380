"""`qvdnode image rebase`, on a store and an overlay that the test makes."""

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from qvdnode.cli.qvdnode.program import app
from qvdnode.image.core.refs import Ref
from qvdnode.image.kept.disks import Base
from qvdnode.image.settings import ImageSettings
from qvdnode.image.versions import ImageVersions
from qvdnode.model.ids import VmId
from tests.fixtures_image import STATE
from tests.integration.image.bare_guest import IDS
from tests.integration.image.store.made import committed, small_tree

pytestmark = pytest.mark.mounts

VM = VmId(7)


class Node:
    """A state folder with the image `office` in two versions, and one desktop's overlay."""

    def __init__(self, folder: Path) -> None:
        self.config = folder / "node.toml"
        self.config.write_text(f'[node]\nstate_dir = "{folder}"\n')
        self.versions = ImageVersions(ImageSettings(state_dir=folder))
        store = self.versions.store
        store.prepare()
        root = small_tree(folder / "root", "one")
        self.old = committed(store, root)
        (root / "etc/word").write_text("two")
        self.new = committed(store, root, self.old)
        ref = Ref("office", "main")
        self.versions.branches.advance(ref, self.new, who="ana", why="x")
        self.upper = folder / "kept" / str(VM) / "upper"
        (self.upper / "etc").mkdir(parents=True)
        (self.upper / "etc/word").write_text("mine")
        (self.upper / "etc/own").write_text("own")
        for path in (self.upper, *self.upper.rglob("*")):
            os.chown(path, IDS.start, IDS.start)
        self.versions.kept.note(VM, Base(self.old, IDS.start))

    def run(self, *words: str) -> Result:
        return CliRunner().invoke(app, ["image", "rebase", *words, "--config", str(self.config)])


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    folder = STATE / f"rebase-{tmp_path.name}-{os.getpid()}"
    folder.mkdir(parents=True)
    yield Node(folder)
    shutil.rmtree(folder)


def test_a_rebase_is_told_done_and_undone(node: Node) -> None:
    told = node.run("office", "--dry-run")
    assert told.exit_code == 0, told.output
    assert "both sides changed it" in told.output
    assert "1 need a look" in told.output
    assert (base := node.versions.kept.base(VM)) is not None
    assert base.commit == node.old
    [facts] = json.loads(node.run("office", "--json").stdout)
    assert (facts["vm"], facts["looks"], facts["problem"]) == (VM, 1, None)
    assert {"/etc/word", "/etc/own"} <= {path["path"] for path in facts["paths"]}
    assert (node.upper / "etc/word").read_text() == "mine"
    assert node.versions.kept.commits() == {node.new}
    assert "is on" in node.run("--undo", "--vm", "7").output
    assert node.versions.kept.commits() == {node.old}
    stays = node.versions.kept.base(VM)
    assert stays is not None
    assert stays.stays
    assert "moves with its image" in node.run("--follow", "--vm", "7").output
    assert "nothing kept" in node.run("--reset", "--vm", "7").output
    assert node.versions.kept.all() == {}


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (("--undo",), 2, "Say which"),
        ((), 2, "Give REV"),
        (("office", "--undo", "--vm", "7"), 2, "Give REV"),
        (("nothing",), 3, "no image"),
        (("--undo", "--vm", "7"), 1, "no rebase to undo"),
        (("--reset", "--vm", "8"), 3, "no kept overlay"),
        (("office", "--vm", "8"), 1, "no kept overlay"),
    ],
)
def test_what_cannot_be_done_says_why(
    node: Node, words: tuple[str, ...], code: int, told: str
) -> None:
    result = node.run(*words)
    assert (result.exit_code, told in result.output.replace("\n", " ")) == (code, True), (
        result.output
    )


def test_a_desktop_that_runs_is_not_touched(node: Node) -> None:
    (node.upper.parents[2] / "vms" / str(VM) / "1").mkdir(parents=True)
    refused = node.run("office")
    assert (refused.exit_code, "stop it first" in refused.output) == (1, True)
    assert node.run("office", "--dry-run").exit_code == 0
