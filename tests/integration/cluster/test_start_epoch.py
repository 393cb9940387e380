from pathlib import Path

import pytest

from qvdnode.cluster.start_epoch import keep_epoch, next_epoch
from qvdnode.wire.swim import EPOCH_MAX


def test_each_start_has_a_higher_epoch(tmp_path: Path) -> None:
    path = tmp_path / "epoch"
    assert [next_epoch(path) for _ in range(3)] == [1, 2, 3]
    keep_epoch(path, 70)
    assert next_epoch(path) == 71
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("content", [b"", b"\n", b"rubbish", b"\xff\xfe", b"-5"])
def test_a_file_that_makes_no_sense_begins_anew(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "epoch"
    path.write_bytes(content)
    assert next_epoch(path) == 1


def test_an_epoch_stays_one_that_can_be_sent(tmp_path: Path) -> None:
    path = tmp_path / "epoch"
    path.write_bytes(b"9" * 50)
    assert next_epoch(path) == EPOCH_MAX
