import io
import os
import tarfile
from pathlib import Path

import pytest

from qvdnode.cli.image_tar import size_of, tar_of
from qvdnode.model.errors import HostFailed, Invalid


async def packed(path: Path) -> bytes:
    return b"".join([chunk async for chunk in tar_of(path)])


async def test_a_tar_file_is_sent_as_it_is(tmp_path: Path) -> None:
    content = os.urandom(600_000)
    (tmp_path / "root.tar").write_bytes(content)
    assert await packed(tmp_path / "root.tar") == content


async def test_a_folder_is_packed_with_owners_and_attributes(tmp_path: Path) -> None:
    root = tmp_path / "root"
    (root / "usr").mkdir(parents=True)
    (root / "usr" / "ping").write_text("x")
    os.chown(root / "usr" / "ping", 0, 12_345)
    (root / "usr" / "ping").chmod(0o4750)
    os.setxattr(root / "usr" / "ping", "trusted.colour", b"red")
    with tarfile.open(fileobj=io.BytesIO(await packed(root))) as tar:
        entry = tar.getmember("./usr/ping")
    assert (entry.uid, entry.gid, entry.mode) == (0, 12_345, 0o4750)
    assert entry.pax_headers["SCHILY.xattr.trusted.colour"] == "red"


async def test_the_size_is_known_well_enough_for_a_progress_bar(tmp_path: Path) -> None:
    file = tmp_path / "root.tar"
    file.write_bytes(b"x" * 12_345)
    assert size_of(file) == 12_345
    root = tmp_path / "root"
    (root / "usr").mkdir(parents=True)
    (root / "usr" / "link").symlink_to("gone")
    for number in range(50):
        (root / "usr" / f"file-{number}").write_bytes(b"x" * 10_000)
    real = len(await packed(root))
    assert 0.95 * real <= size_of(root) <= 1.05 * real
    with pytest.raises(Invalid, match="neither"):
        size_of(tmp_path / "gone")


async def test_what_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="neither a tar file nor a folder"):
        await packed(tmp_path / "gone")


async def test_a_folder_that_goes_away_is_no_image(tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    stream = tar_of(root)
    root.rmdir()
    with pytest.raises(HostFailed, match="tar failed"):
        _ = [chunk async for chunk in stream]
