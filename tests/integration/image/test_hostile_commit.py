"""A guest changes its files while root commits them: nothing of the host gets into the image."""

import ctypes
import os
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from qvdnode.image.core.refs import Ref
from qvdnode.image.desktop_commit import DesktopCommit
from qvdnode.image.layout import Layout
from qvdnode.image.overlay import OverlayRootfs
from qvdnode.image.settings import ImageSettings
from qvdnode.image.store.tree_reader import Source, TreeReader
from qvdnode.image.versions import ImageVersions
from qvdnode.model.errors import BadImage, NodeFull
from qvdnode.model.ids import Generation
from tests.integration.image.bare_guest import IDS
from tests.integration.image.conftest import ORDER
from tests.integration.image.store.made import new_store
from tests.integration.image.test_desktop_commit import in_guest

pytestmark = pytest.mark.mounts

ONE = Generation(1)
BRANCH = Ref("tiny", "golden")
SECRET = b"root:$6$only-root-of-the-host-may-read-this-line-of-its-shadow-file:20000:0:99999:7:::\n"
RENAME_EXCHANGE = 2
AT_FDCWD = -100


@pytest.fixture
def hosts(tmp_path: Path) -> Path:
    """A folder of the host's with a secret in it."""
    folder = tmp_path / "etc"
    folder.mkdir()
    (folder / "shadow").write_bytes(SECRET)
    (folder / "shadow").chmod(0o600)
    (folder / "link").symlink_to("/what/only/the/host/has")
    return folder


def stored(versions: ImageVersions) -> bytes:
    """Everything that the store keeps in files of its own."""
    found = [path for path in versions.store.places.root.rglob("*") if path.is_file()]
    return b"".join(path.read_bytes() for path in found)


def commit(versions: ImageVersions, settings: ImageSettings, step: Callable[[int], None]) -> str:
    return DesktopCommit(versions, settings).commit(7, BRANCH, "golden", "ana", step)


@pytest.mark.parametrize("name", ["shadow", "link"])
async def test_a_folder_becomes_a_link_after_it_was_listed(
    rootfs: OverlayRootfs, ready: ImageSettings, hosts: Path, name: str
) -> None:
    made = await rootfs.mount(ORDER, ONE, IDS)
    theirs = "ln -s x zz/link" if name == "link" else "head -c 99 /dev/zero >zz/shadow"
    await in_guest(
        made.root,
        f"mkdir -p usr/aa zz && head -c 5000 /dev/zero >usr/aa/big && {theirs} && ln -s {hosts} to",
    )
    upper = Layout(ready.state_dir).guest(ORDER.vm.id, ONE).upper
    swapped: list[int] = []

    def swap(done: int) -> None:
        if not swapped:
            (made.root / "zz").rename(made.root / "was")
            (made.root / "to").rename(made.root / "zz")
            assert (upper / "zz").is_symlink()
            swapped.append(done)

    versions = ImageVersions(ready)
    try:
        with pytest.raises(BadImage, match=f"/zz/{name} was changed while it was read"):
            commit(versions, ready, swap)
        assert swapped
        assert SECRET not in stored(versions)
        assert versions.branches.get(BRANCH) is None
    finally:
        await rootfs.unmount(ORDER.vm.id, ORDER.user.id, ONE)


def test_a_folder_and_a_link_that_change_places_for_ever(tmp_path: Path, hosts: Path) -> None:
    store = new_store(tmp_path)
    root = tmp_path / "upper"
    (root / "zz").mkdir(parents=True)
    (root / "zz/ours").touch()
    (root / "to").symlink_to(hosts)
    libc = ctypes.CDLL(None)
    zz, to = os.fsencode(root / "zz"), os.fsencode(root / "to")
    over = threading.Event()

    def exchange() -> None:
        while not over.is_set():
            libc.renameat2(AT_FDCWD, zz, AT_FDCWD, to, RENAME_EXCHANGE)

    racer = threading.Thread(target=exchange)
    racer.start()
    work, refused = store.work_folder(), 0
    try:
        for _ in range(500):
            try:
                paths = set(TreeReader(store, Source(root, work=work)).read().tree)
            except BadImage:
                refused += 1
            else:
                assert not {path for path in paths if path.endswith((b"/shadow", b"/link"))}
    finally:
        over.set()
        racer.join()
    assert refused


async def test_more_than_the_disk_or_an_image_has_room_for(
    rootfs: OverlayRootfs, ready: ImageSettings
) -> None:
    made = await rootfs.mount(ORDER, ONE, IDS)
    await in_guest(made.root, "mkdir many && cd many && seq 300 | xargs touch && truncate -s 1G z")
    versions = ImageVersions(ready)
    try:
        for less, error, words in (
            (replace(ready, import_max_entries=200), BadImage, "over 200 files"),
            (replace(ready, import_max_mib=500), BadImage, "over 500 MiB"),
            (replace(ready, free_floor_mib=2**30), NodeFull, "nearly full"),
        ):
            with pytest.raises(error, match=words):
                commit(versions, less, lambda _done: None)
        assert versions.branches.get(BRANCH) is None
    finally:
        await rootfs.unmount(ORDER.vm.id, ORDER.user.id, ONE)
