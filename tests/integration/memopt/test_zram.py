"""A real device. It is swap of the whole host for a moment, so nothing else may be measured."""

import json
from pathlib import Path

import pytest

from qvdnode.host.boot import boot_id
from qvdnode.memopt.zram import Zram
from qvdnode.model.errors import HostFailed
from qvdnode.runtime.clock import SystemClock

pytestmark = pytest.mark.alone
SIZE = 64 << 20


def swaps() -> list[str]:
    lines = Path("/proc/swaps").read_text(encoding="utf-8").splitlines()[1:]
    return [line.split()[0] for line in lines]


async def test_a_device_is_made_taken_over_and_removed(tmp_path: Path) -> None:
    record, before = tmp_path / "zram", swaps()
    zram = Zram(record, SystemClock())
    try:
        await zram.up(SIZE)
        [made] = set(swaps()) - set(before)
        assert (zram.use() or pytest.fail("nothing is told")).takes_mib == 0
        later = Zram(record, SystemClock())
        await later.up(SIZE)
        assert len(swaps()) == len(before) + 1, "the next process makes no other one"
    finally:
        await Zram(record, SystemClock()).down()
    assert swaps() == before
    assert not Path(made).exists()
    assert not record.exists()
    assert zram.use() is None
    await zram.down()


async def test_a_record_of_another_boot_names_nothing_of_ours(tmp_path: Path) -> None:
    record = tmp_path / "zram"
    for content in (json.dumps({"boot": "other", "device": 0}), "torn", json.dumps({"device": 0})):
        record.write_text(content, encoding="ascii")
        assert Zram(record, SystemClock()).use() is None
        await Zram(record, SystemClock()).down()
    record.write_text(json.dumps({"boot": boot_id(), "device": 999_999}), encoding="ascii")
    assert Zram(record, SystemClock()).use() is None


async def test_a_kernel_without_it_says_so_and_nothing_is_left(tmp_path: Path) -> None:
    record = tmp_path / "zram"
    with pytest.raises(HostFailed, match="zram-control"):
        await Zram(record, SystemClock(), sys=tmp_path).up(SIZE)
    assert not record.exists()


async def test_one_that_fails_half_made_is_removed(tmp_path: Path) -> None:
    control, record = tmp_path / "class/zram-control", tmp_path / "zram"
    control.mkdir(parents=True)
    (control / "hot_add").write_text("5\n", encoding="ascii")
    (tmp_path / "block/zram5").mkdir(parents=True)
    (tmp_path / "block/zram5/comp_algorithm").write_text("[lzo] lz4\n", encoding="ascii")
    with pytest.raises(HostFailed, match="mkswap"):
        await Zram(record, SystemClock(), sys=tmp_path, dev=tmp_path).up(SIZE)
    assert (control / "hot_remove").read_text(encoding="ascii") == "5"
    assert not record.exists()
