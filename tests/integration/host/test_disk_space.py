import asyncio
from pathlib import Path

import pytest

from qvdnode.host import disk_space, mounts

pytestmark = pytest.mark.mounts


@pytest.mark.parametrize(("inodes", "free_mib"), [(100_000, 8), (3 * 64 + 1, 3), (10, 0)])
async def test_room_ends_where_space_or_inodes_do(
    tmp_path: Path, inodes: int, free_mib: int
) -> None:
    mounts.tmpfs(tmp_path, size_kib=8192, inodes=inodes, owner=0, mode=0o700)
    try:
        assert await asyncio.to_thread(disk_space.free_mib, tmp_path) == free_mib
    finally:
        mounts.unmount(tmp_path)
