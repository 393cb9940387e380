"""Files with file systems in them."""

import shutil
from pathlib import Path

import pytest

from qvdnode.host import loop_files

WITNESS = """#!/bin/sh
ls -A {folder} >{seen}
exec {mke2fs} "$@"
"""


async def test_a_file_has_its_name_only_once_it_is_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, programs, seen = tmp_path / "homes", tmp_path / "programs", tmp_path / "seen"
    for made in (folder, programs):
        made.mkdir()
    (folder / "7.img.new").write_bytes(b"of a start that was cut off")
    program = programs / "mke2fs"
    program.write_text(WITNESS.format(folder=folder, seen=seen, mke2fs=shutil.which("mke2fs")))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(programs), prepend=":")
    await loop_files.make(folder / "7.img", 64, journal=True)
    assert "7.img\n" not in seen.read_text()
    assert [path.name for path in folder.iterdir()] == ["7.img"]
    await loop_files.repair(folder / "7.img")
