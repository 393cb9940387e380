"""The tutorial of docs/images.md for a farm, line by line, on a node with a real store."""

import io
import re
import shlex
import shutil
import tarfile
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from qvdnode.host import mounts
from qvdnode.image.importer import Importer
from qvdnode.image.settings import ImageSettings
from tests.fakes.image_contents import FakeImageContents
from tests.fixtures_image import STATE
from tests.integration.cli.qvd.conftest import Qvd
from tests.integration.image.store.made import findings
from tests.integration.image.tiny_root import complete, tar
from tests.sources import ROOT

pytestmark = pytest.mark.postgres

FOLDERS = ("dev", "home", "proc", "run", "sys", "tmp")


@pytest.fixture
def folder() -> Iterator[Path]:
    """The state folder of the node, and where the commands run."""
    made = STATE / f"image-tour-{uuid.uuid4().hex[:8]}"
    for name in ("images", "vms", "homes", "rootfs"):
        (made / name).mkdir(parents=True)
    with tarfile.open(fileobj=io.BytesIO(tar(complete()))) as archive:
        archive.extractall(made / "rootfs")
    for name in FOLDERS:
        (made / "rootfs" / name).mkdir()
    yield made
    for point in mounts.under(made):
        mounts.unmount(point)
    shutil.rmtree(made)


@pytest.fixture
def importer(folder: Path) -> Any:
    """A real one, in place of the fake."""
    real = Importer(ImageSettings(folder, free_floor_mib=64))
    real.contents = FakeImageContents()  # type: ignore[attr-defined]  # as the fake has it
    return real


async def test_the_tutorial_works_line_by_line(
    logged_in: Qvd, importer: Importer, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = (ROOT / "docs/images.md").read_text()
    tour = text.partition("## On a farm")[2].partition("## On one node")[0]
    lines = re.findall(r"^    (\S.*)$", tour, re.MULTILINE)
    assert len(lines) > 15
    monkeypatch.chdir(folder)
    said = {}
    for line in lines:
        words = shlex.split(line)
        if words[0] == "touch":
            Path(words[1]).touch()
            continue
        assert words[:2] == ["qvd", "image"]
        result = await logged_in(*words[1:])
        assert result.exit_code == 0, f"{line}: {result.output}"
        said[line] = result.stdout
    assert "/etc/motd" in said["qvd image diff office 1 test"]
    assert re.search(r"head version\s+1", said["qvd image rollback office"])
    store = importer.versions.store
    assert findings(store) == []
    # What went out as a layout and as an archive came back as it was.
    names = {
        number: importer.versions.branches.resolve(f"office:{number}") for number in (1, 2, 3, 4)
    }
    trees = {number: store.commit(name).manifest for number, name in names.items()}
    assert trees[3] == trees[2]
    assert trees[4] == trees[1]
