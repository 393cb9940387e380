"""What goes to the kernel, byte by byte; that it obeys is for hosts that have project quota."""

import struct

from qvdnode.host import project_quota


def test_the_command_word_is_for_project_quota() -> None:
    assert project_quota.command(0x80_0008) == 0x8000_0802


def test_a_project_is_set_and_inherited_and_the_rest_stays() -> None:
    before = struct.pack("=5I8x", 0x10, 1, 2, 3, 4)
    after = struct.unpack("=5I8x", project_quota.with_project(before, 77))
    assert after == (0x10 | 0x200, 1, 2, 77, 4)
    assert len(before) == 28


def test_space_is_limited_in_kib_and_inodes_by_their_number() -> None:
    block = project_quota.quota_block(3)
    assert len(block) == 72
    fields = struct.unpack("=8QI4x", block)
    assert fields[:2] == (3072, 3072)
    assert fields[3:5] == (16_384, 16_384)
    assert fields[8] == 1 | 4
    assert struct.unpack("=8QI4x", project_quota.quota_block(1024))[3:5] == (65_536, 65_536)


def test_usage_of_a_project_is_in_mib() -> None:
    block = struct.pack("=8QI4x", 3072, 3072, 5 << 20, 100, 100, 42, 0, 0, 0)
    assert project_quota.usage_in(block) == project_quota.Usage(3, 5, 42)
