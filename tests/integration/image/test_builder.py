"""The image we build: what is in it, and what it must not tell."""

import asyncio
import os
import re
import shutil
import socket
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from qvdnode.host import mounts
from qvdnode.image import builder, recipes, tree_check
from qvdnode.image.core.recipe import NEUTRAL_SOURCES
from qvdnode.model.errors import Conflict, HostFailed
from tests.fixtures_image import STATE

SIZE_MAX_MIB = 450
TEXT_MAX = 4 << 20


def files(root: Path, *folders: str) -> Iterator[Path]:
    for folder in folders:
        for path in (root / folder).rglob("*"):
            if path.is_file() and not path.is_symlink() and path.stat().st_size < TEXT_MAX:
                yield path


def traces() -> list[bytes]:
    """What would give the building machine away: its name, its proxies, its mirrors."""
    found = {os.environ.get(name, "") for name in ("http_proxy", "https_proxy", "HTTP_PROXY")}
    texts = [path.read_text() for path in Path("/etc/apt").rglob("*.conf") if path.is_file()]
    texts += [path.read_text() for path in Path("/etc/apt").rglob("*.sources")]
    texts += [path.read_text() for path in Path("/etc/apt").rglob("*.list")]
    for text in texts:
        found |= {match.split("/")[0] for match in re.findall(r"https?://([^\s\";]+)", text)}
    found |= {"mmdebstrap.", str(STATE), socket.gethostname()}
    # Short names are words that stand in many files by chance.
    words = {word for word in found if len(word) > 5}
    return [word.encode() for word in words]


def test_it_is_a_root_that_an_import_accepts(icewm_root: Path) -> None:
    tree_check.check(icewm_root)


def test_it_is_small(icewm_root: Path) -> None:
    blocks = {
        (facts.st_ino): facts.st_blocks
        for path in icewm_root.rglob("*")
        if stat.S_ISREG((facts := path.lstat()).st_mode)
    }
    assert sum(blocks.values()) * 512 < SIZE_MAX_MIB << 20


def test_it_says_nothing_of_where_it_came_from(icewm_root: Path) -> None:
    told = [
        f"{path}: {trace.decode()}"
        for path in files(icewm_root, "etc", "var", "root", "home", "usr/lib/qvd", "usr/local")
        for trace in traces()
        if trace in path.read_bytes()
    ]
    assert told == []


def test_its_sources_name_no_mirror(icewm_root: Path) -> None:
    text = (icewm_root / "etc/apt/sources.list").read_text(encoding="ascii")
    assert text == NEUTRAL_SOURCES.format(suite=recipes.icewm().suite)
    assert list((icewm_root / "etc/apt/sources.list.d").glob("*")) == []


@pytest.mark.parametrize("folder", ["var/log", "var/lib/apt/lists", "var/cache/apt", "dev", "tmp"])
def test_logs_lists_caches_and_devices_are_gone(icewm_root: Path, folder: str) -> None:
    assert [path for path in (icewm_root / folder).rglob("*") if not path.is_dir()] == []


@pytest.mark.parametrize("name", ["etc/machine-id", "etc/hostname", "etc/resolv.conf"])
def test_names_of_the_builder_are_empty(icewm_root: Path, name: str) -> None:
    assert (icewm_root / name).read_bytes() == b""


def test_what_a_desktop_needs_is_there(icewm_root: Path) -> None:
    for program in (
        "nxagent",
        "icewm",
        "xterm",
        "pcmanfm",
        "l3afpad",
        "xkbcomp",
        "dumb-init",
        "setpriv",
    ):
        assert (icewm_root / "usr/bin" / program).exists(), program
    assert (icewm_root / "usr/share/zoneinfo/Europe/Madrid").exists()
    assert (icewm_root / "usr/lib/locale/locale-archive").stat().st_size > 1 << 20


async def test_a_build_that_fails_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    folder = STATE / f"build-{os.getpid()}"
    # Programs are looked for where there are none.
    monkeypatch.setenv("PATH", "/nowhere")
    try:
        with pytest.raises(HostFailed, match="mmdebstrap is not installed"):
            await builder.build(recipes.icewm(), folder / "icewm", lambda *_: None)
        assert list(folder.iterdir()) == []
    finally:
        shutil.rmtree(folder)


MOUNTS_AND_WAITS = """#!/bin/sh
for word; do case $word in *.building) target=$word ;; esac; done
mkdir -p "$target/dev/shm"
mount --bind '{precious}' "$target/dev/shm"
echo "I: installing essential packages..." >&2
sleep 60
"""


@pytest.mark.mounts
async def test_a_build_that_is_broken_off_takes_its_mounts_along(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    precious, programs = tmp_path / "precious", tmp_path / "programs"
    precious.mkdir()
    programs.mkdir()
    (precious / "file").touch()
    program = programs / "mmdebstrap"
    program.write_text(MOUNTS_AND_WAITS.format(precious=precious))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    mounted = asyncio.Event()

    def told(percent: int, _sentence: str) -> None:
        if percent > 0:
            mounted.set()

    dest = tmp_path / "image" / "icewm"
    building = asyncio.create_task(builder.build(recipes.icewm(), dest, told))
    await mounted.wait()
    seen = mounts.under(tmp_path)
    building.cancel()
    with pytest.raises(asyncio.CancelledError):
        await building
    for point in mounts.under(tmp_path):
        mounts.unmount(point)
    assert seen == []
    assert (precious / "file").exists(), "what was mounted is the host's"
    assert list(dest.parent.iterdir()) == []


async def test_what_is_there_is_not_built_over(icewm_root: Path) -> None:
    with pytest.raises(Conflict):
        await builder.build(recipes.icewm(), icewm_root, lambda *_: None)
    assert (icewm_root / "usr/bin/nxagent").exists()
