import io
import os
import tarfile
from pathlib import Path

import pytest

from qvdnode.cli.image_tar import require_session, size_of, tar_of
from qvdnode.host import process
from qvdnode.image.core.session_needs import NEEDS
from qvdnode.model.errors import BadImage, HostFailed, Invalid
from tests.integration.image.tiny_root import Piece, complete, tar, without


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


@pytest.mark.parametrize("packing", [None, ("cat",), ("gzip", "-c"), ("zstd", "-qc")])
async def test_what_an_image_lacks_is_known_before_it_is_sent(
    tmp_path: Path, packing: tuple[str, ...] | None
) -> None:
    async def placed(content: bytes) -> Path:
        path = tmp_path / "root"
        if packing is None:
            path.mkdir(exist_ok=True)
            await process.run(["tar", "-xf-", "--directory", path], stdin=content)
        else:
            path.write_bytes((await process.run(packing, stdin=content)).stdout)
        return path

    with pytest.raises(BadImage, match=r"session is missing: --add-session .* nxagent"):
        await require_session(await placed(tar(without("session"))), add=False)
    whole = await placed(tar(complete()))
    await require_session(whole, add=False)
    with pytest.raises(BadImage, match=r"apt-get install .* nxagent .* in it"):
        await require_session(whole, add=True)
    needed = [Piece(f"./{need.paths[0]}", b"x") for need in NEEDS]
    await require_session(await placed(tar(complete(*needed))), add=True)


async def test_what_cannot_be_listed_is_for_the_node_to_refuse(tmp_path: Path) -> None:
    (tmp_path / "root.tar").write_bytes(b"x" * 100_000)
    await require_session(tmp_path / "root.tar", add=False)
    await require_session(tmp_path / "root.tar", add=True)
