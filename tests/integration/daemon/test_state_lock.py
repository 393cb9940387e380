"""One node per state folder."""

from pathlib import Path

import pytest

from qvdnode.daemon.state_lock import StateLock
from qvdnode.model.errors import Conflict


def test_a_second_node_is_refused_and_told_who_has_it(tmp_path: Path) -> None:
    with StateLock(tmp_path), pytest.raises(Conflict, match=r"process \d+"):
        StateLock(tmp_path).__enter__()


def test_the_lock_is_free_again_afterwards(tmp_path: Path) -> None:
    with StateLock(tmp_path):
        pass
    with StateLock(tmp_path):
        pass
