"""State folders of their own for tests of images, homes and roots."""

import shutil
import uuid
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from qvdnode.host import mounts
from qvdnode.image.importer import Importer
from qvdnode.image.overlay import OverlayRootfs
from qvdnode.image.settings import ImageSettings
from qvdnode.wire.session_exit import SessionExit
from tests.fakes.orders import FLAVOUR, desktop_order
from tests.fixtures_image import STATE
from tests.integration.image.bare_guest import LISTENS, USUAL, BareGuest
from tests.integration.image.tiny_root import Piece, complete, stream, tar
from tests.waiting import until

SMALL = replace(FLAVOUR, disk_mib=32, home_mib=32)
ORDER = desktop_order(7, flavour=SMALL)


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


@pytest.fixture
async def ready(settings: ImageSettings) -> ImageSettings:
    """A state folder with the image of ORDER in it."""
    importer = Importer(settings)
    content = tar(complete(Piece("./var/lib/word", b"from the image", mode=0o644)))
    done = await importer.import_tar(stream(content), "tiny")
    await importer.place(done, ORDER.flavour.image_id, ORDER.image_version)
    return settings


@pytest.fixture
async def rootfs(ready: ImageSettings) -> AsyncIterator[OverlayRootfs]:
    provider = OverlayRootfs(ready)
    yield provider
    provider.close()


@pytest.fixture
async def guest(settings: ImageSettings, icewm_root: Path) -> AsyncIterator[BareGuest]:
    bare = BareGuest(settings, icewm_root)
    try:
        await bare.start()
        yield bare
    finally:
        await bare.stop()


@pytest.fixture
async def listening(guest: BareGuest) -> BareGuest:
    """A guest whose display waits for its first client."""
    guest.params(**USUAL)
    assert await guest.session("start") == SessionExit.DONE
    await until(lambda: LISTENS in guest.log(), what="the display to listen")
    return guest
