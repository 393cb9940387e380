"""State files on a real disk, also a full one."""

from ipaddress import IPv4Address, IPv4Interface
from pathlib import Path

import pytest

from qvdnode.host import mounts
from qvdnode.model.errors import HostFailed
from qvdnode.model.guest import GuestPort, IdRange
from qvdnode.model.ids import Generation
from qvdnode.vm.core.guest_record import GuestRecord
from qvdnode.vm.state_file import StateFiles
from tests.fakes.orders import desktop_order

pytestmark = pytest.mark.mounts

RECORD = GuestRecord(
    order=desktop_order(7),
    generation=Generation(1),
    boot_id="this boot",
    ids=IdRange(0x7000_0000),
    port=GuestPort(
        "qv7", "02:00:00:00:00:07", IPv4Interface("10.1.0.7/24"), IPv4Address("10.1.0.1"), True
    ),
    root="/root",
    home="/home",
    process=None,
)


def test_a_full_disk_is_told_and_leaves_no_half_file(tmp_path: Path) -> None:
    mounts.tmpfs(tmp_path, size_kib=4, inodes=16, owner=0, mode=0o700)
    try:
        (tmp_path / "filler").write_bytes(bytes(4096))
        with pytest.raises(HostFailed, match="No space left"):
            StateFiles(tmp_path).write(RECORD)
        assert [path.name for path in tmp_path.iterdir()] == ["filler"]
    finally:
        mounts.unmount(tmp_path)


def test_a_look_from_outside_leaves_what_it_cannot_read_where_it_is(tmp_path: Path) -> None:
    files = StateFiles(tmp_path)
    files.write(RECORD)
    (tmp_path / "9.json").write_text("torn")
    assert files.peek() == [RECORD]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["7.json", "9.json"]
