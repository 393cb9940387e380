"""The folder of homes that nodes share: a mount is tried out before anybody's home is in it."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from qvdnode.host.process import run
from qvdnode.image.layout import Layout
from qvdnode.image.shared_homes import MARK, probe
from qvdnode.model.errors import HostFailed

pytestmark = pytest.mark.mounts

FIRST_ID = 1_000_000


@pytest.fixture
def layouts(tmp_path: Path) -> Iterator[list[Layout]]:
    """Two nodes with one folder mounted in place of their homes."""
    shared = tmp_path / "shared"
    shared.mkdir()
    made = [Layout(tmp_path / name) for name in ("one", "two")]
    try:
        for layout in made:
            layout.homes.mkdir(parents=True)
            subprocess.run(["mount", "--bind", str(shared), str(layout.homes)], check=True)
        yield made
    finally:
        for layout in made:
            subprocess.run(["umount", "--lazy", str(layout.homes)], check=False)


async def test_nodes_that_share_a_folder_read_one_mark(layouts: list[Layout]) -> None:
    one, two = [await probe(layout, FIRST_ID) for layout in layouts]
    assert one == two
    assert len(one) == 32
    assert [entry.name for entry in layouts[0].homes.iterdir()] == [MARK]
    assert [entry.name for entry in layouts[0].state_dir.iterdir()] == ["homes"]


async def test_a_folder_that_is_not_mounted_is_refused(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    layout.homes.mkdir()
    with pytest.raises(HostFailed, match="nothing is mounted at"):
        await probe(layout, FIRST_ID)


async def test_a_mount_that_cannot_be_written_is_refused(layouts: list[Layout]) -> None:
    homes = layouts[0].homes
    await run(["mount", "-o", "remount,bind,ro", homes])
    with pytest.raises(HostFailed, match="cannot be used: Read-only file system"):
        await probe(layouts[0], FIRST_ID)


async def test_a_server_that_squashes_root_is_refused(
    layouts: list[Layout], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "chown", lambda *_: None)
    with pytest.raises(HostFailed, match="no_root_squash"):
        await probe(layouts[0], FIRST_ID)
    assert list(layouts[0].homes.iterdir()) == []


async def test_a_file_system_without_shifted_owners_is_refused(layouts: list[Layout]) -> None:
    homes = layouts[1].homes
    await run(["mount", "-t", "ramfs", "none", homes])
    try:
        with pytest.raises(HostFailed, match="idmapped mounts"):
            await probe(layouts[1], FIRST_ID)
        assert list(homes.iterdir()) == []
    finally:
        await run(["umount", homes])


async def test_a_damaged_mark_is_told(layouts: list[Layout]) -> None:
    (layouts[0].homes / MARK).write_text("?")
    with pytest.raises(HostFailed, match="is damaged"):
        await probe(layouts[0], FIRST_ID)
