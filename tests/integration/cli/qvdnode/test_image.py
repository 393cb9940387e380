"""`qvdnode image build`, with a small program in mmdebstrap's place.

What mmdebstrap itself makes of the recipe: tests/integration/image/test_builder.py.
"""

import asyncio
import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from qvdnode.host import process
from qvdnode.image.core.refs import Ref
from qvdnode.image.store.branches import Branches
from qvdnode.image.store.repository import Repository
from tests.waiting import until

FOLDERS = "dev etc/apt/sources.list.d var/log var/lib/apt/lists var/cache/apt usr/bin tmp"
BUILDS = f"""
for word; do target=$last; last=$word; case $word in /*) root=$word;; esac; done
echo 'I: running apt-get update...' >&2
echo 'I: extracting archives...' >&2
mkdir -p "$root" && cd "$root" && mkdir -p {FOLDERS}
"""
HANGS = BUILDS + "exec sleep 60"
FAILS = BUILDS + "echo 'E: no space left' >&2; exit 1"
ENDS_S = 10.0

Mmdebstrap = Callable[[str], None]


@pytest.fixture
def mmdebstrap(tmp_path: Path) -> Mmdebstrap:
    """Puts a shell script in mmdebstrap's place."""
    folder = tmp_path / "bin"
    folder.mkdir()

    def write(script: str) -> None:
        (folder / "mmdebstrap").write_text(f"#!/bin/sh\n{script}\n")
        (folder / "mmdebstrap").chmod(0o755)

    return write


def argv(*words: str) -> list[str]:
    script = "from qvdnode.cli.qvdnode.program import main; main()"
    return [sys.executable, "-c", script, "image", "build", *words]


async def built(folder: Path, *words: str, path: str | None = None) -> process.Finished:
    env = {"PATH": path or f"{folder}/bin:{os.environ['PATH']}"}
    return await process.run(argv(*words), env=env, check=False)


async def test_a_root_is_built_to_be_imported(tmp_path: Path, mmdebstrap: Mmdebstrap) -> None:
    mmdebstrap(BUILDS)
    root = tmp_path / "deep" / "icewm"
    said = await built(tmp_path, "icewm", str(root))
    assert said.returncode == 0, said
    assert said.stdout.decode().split()[-5:] == ["qvd", "image", "import", "icewm", str(root)]
    assert (root / "usr/lib/qvd/session").stat().st_mode & 0o777 == 0o755
    assert (root / "usr/lib/qvd/nx-guard.so").stat().st_mode & 0o777 == 0o644
    lines = said.stderr.decode().splitlines()
    assert "  5 %  reading package lists" in lines
    assert lines[-1] == "100 %  image built"
    assert list(root.parent.iterdir()) == [root]


async def test_a_program_is_told_where_it_is(tmp_path: Path, mmdebstrap: Mmdebstrap) -> None:
    mmdebstrap(BUILDS)
    root = tmp_path / "icewm"
    said = await built(tmp_path, "icewm", str(root), "--json")
    assert json.loads(said.stdout) == {
        "image": "icewm", "suite": "bookworm", "folder": str(root)
    }  # fmt: skip


SAYS_ITS_WORDS = BUILDS + 'for word; do echo "$word"; done >usr/words'
OWN = """
base = "icewm"
packages = ["gimp"]
[files."etc/motd"]
text = "Ours"
"""


async def test_an_own_recipe_and_what_is_asked_for_besides(
    tmp_path: Path, mmdebstrap: Mmdebstrap
) -> None:
    mmdebstrap(SAYS_ITS_WORDS)
    (tmp_path / "ours.toml").write_text(OWN)
    root = tmp_path / "root"
    said = await built(
        tmp_path, str(tmp_path / "ours.toml"), str(root), "--json", "--suite", "trixie",
        "--add", "inkscape", "--locale", "eu_ES.UTF-8", "--locale", "es_ES",
    )  # fmt: skip
    assert said.returncode == 0, said
    assert json.loads(said.stdout) == {"image": "ours", "suite": "trixie", "folder": str(root)}
    words = (root / "usr/words").read_text().splitlines()
    (packages,) = [word for word in words if word.startswith("--include=")]
    assert {"gimp", "inkscape", "icewm"} <= set(packages.partition("=")[2].split(","))
    assert "trixie" in words
    assert (root / "etc/motd").read_text() == "Ours"
    assert (root / "etc/default/locale").read_text() == "LANG=eu_ES.UTF-8\n"


async def test_each_build_is_a_commit_after_the_one_before(
    tmp_path: Path, mmdebstrap: Mmdebstrap
) -> None:
    (tmp_path / "state").mkdir()
    config = tmp_path / "node.toml"
    config.write_text(f'[node]\nstate_dir = "{tmp_path}/state"\n')
    (tmp_path / "ours.toml").write_text(OWN)
    left = set(Path("/var/tmp").glob("qvdnode-build-*"))

    async def commit(*words: str) -> dict[str, str]:
        said = await built(tmp_path, *words, "--config", str(config), "--json")
        assert said.returncode == 0, said
        answer: dict[str, str] = json.loads(said.stdout)
        return answer

    mmdebstrap(BUILDS)
    first = await commit("icewm")
    assert (first["image"], first["branch"]) == ("icewm", "icewm")
    mmdebstrap(SAYS_ITS_WORDS)
    second = await commit("icewm", "-m", "again")
    other = await commit(str(tmp_path / "ours.toml"), "--branch", "icewm/test", "--suite", "trixie")
    store = Repository(tmp_path / "state/images/store")
    made = store.commit(second["commit"])
    assert (made.parents, made.message) == ((first["commit"],), "again")
    assert store.commit(other["commit"]).message == "build ours for trixie"
    assert b"/usr/words" not in store.tree(first["commit"])
    assert b"/usr/words" in store.tree(second["commit"])
    assert store.tree(other["commit"])[b"/etc/motd"].payload == b"Ours"
    assert list(store.places.indexes.glob("*")) == []
    mmdebstrap(FAILS)
    said = await built(tmp_path, "icewm", "--config", str(config))
    assert (said.returncode, b"no space left" in said.stderr) == (1, True)
    assert Branches(store, lambda: 0).get(Ref("icewm", "main")) == second["commit"]
    assert set(Path("/var/tmp").glob("qvdnode-build-*")) == left
    said = await built(tmp_path, "icewm", str(tmp_path / "root"), "--branch", "icewm/test")
    assert (said.returncode, b"leave FOLDER out" in said.stderr) == (2, True)


async def test_what_does_not_fit_is_said(tmp_path: Path, mmdebstrap: Mmdebstrap) -> None:
    mmdebstrap(BUILDS)
    (tmp_path / "ours.toml").write_text('base = "icewm"\npackage = []\n')
    root = str(tmp_path / "root")
    for words, code, sentence in (
        (("ours.toml",), 3, "There is no file ours.toml"),
        ((str(tmp_path / "ours.toml"),), 2, "line 2: there is no key package; there are about"),
        (("icewm", "--suite", "sid"), 2, "icewm is made for bookworm, trixie, not for sid"),
        (("icewm", "--add", "Office"), 2, "Office is neither a package nor"),
        (("icewm", "--locale", "Spanish"), 2, "Spanish is not a locale such as es_ES.UTF-8"),
    ):
        said = await built(tmp_path, words[0], root, *words[1:])
        assert (said.returncode, sentence in said.stderr.decode()) == (code, True), said
    assert not Path(root).exists()


async def test_what_is_there_stays(tmp_path: Path, mmdebstrap: Mmdebstrap) -> None:
    mmdebstrap(BUILDS)
    (tmp_path / "icewm").mkdir()
    (tmp_path / "icewm" / "mine").touch()
    said = await built(tmp_path, "icewm", str(tmp_path / "icewm"))
    assert (said.returncode, b"exists already" in said.stderr) == (1, True)
    assert [path.name for path in (tmp_path / "icewm").iterdir()] == ["mine"]


async def test_what_cannot_be_built_is_said(tmp_path: Path, mmdebstrap: Mmdebstrap) -> None:
    root = str(tmp_path / "root")
    said = await built(tmp_path, "plasma", root)
    assert (said.returncode, b"no recipe plasma; there is" in said.stderr) == (3, True)
    said = await built(tmp_path, "icewm", root, path="/nowhere")
    assert (said.returncode, b"mmdebstrap is not installed" in said.stderr) == (1, True)
    mmdebstrap(BUILDS)
    said = await built(tmp_path, "icewm", root, path=f"{tmp_path}/bin")
    assert (said.returncode, b"tcc is not installed" in said.stderr) == (1, True)
    said = await built(tmp_path, "icewm", "/proc/none/icewm")
    assert (said.returncode, b"qvdnode: the image could not be built" in said.stderr) == (1, True)
    mmdebstrap(FAILS)
    said = await built(tmp_path, "icewm", root)
    assert (said.returncode, b"E: no space left" in said.stderr) == (1, True)
    assert [path.name for path in tmp_path.iterdir()] == ["bin"]


async def test_ctrl_c_leaves_nothing(tmp_path: Path, mmdebstrap: Mmdebstrap) -> None:
    mmdebstrap(HANGS)
    env = {"PATH": f"{tmp_path}/bin:{os.environ['PATH']}"}
    child = await process.spawn_piped(argv("icewm", str(tmp_path / "icewm")), env=env)
    try:
        await until(lambda: any(tmp_path.glob(".icewm.*.building/tmp")), limit_s=ENDS_S)
        child.send_signal(signal.SIGINT)
        async with asyncio.timeout(ENDS_S):
            assert await child.wait() == 130
    finally:
        await process.end(child)
    assert [path.name for path in tmp_path.iterdir()] == ["bin"]
