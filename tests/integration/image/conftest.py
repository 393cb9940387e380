"""State folders of their own for tests of images, homes and roots."""

import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from qvdnode.host import mounts
from qvdnode.image.settings import ImageSettings
from qvdnode.model.guest import IdRange
from tests.fixtures_image import STATE

IDS = IdRange(0x7F00_0000)
"""Far from what nodes on this host give to their guests."""


@pytest.fixture
def state_dir() -> Iterator[Path]:
    """An empty state folder that guests can pass; whatever is mounted below goes at the end."""
    folder = STATE / f"image-{uuid.uuid4().hex[:8]}"
    for part in (folder, *(folder / name for name in ("images", "homes", "vms", "run"))):
        part.mkdir(parents=True)
        part.chmod(0o711)
    yield folder
    for point in mounts.under(folder):
        mounts.unmount(point)
    shutil.rmtree(folder)


@pytest.fixture
def settings(state_dir: Path) -> ImageSettings:
    """Settings with a floor that any test machine is above."""
    return ImageSettings(state_dir=state_dir, free_floor_mib=64)
