"""The state folder."""

import contextlib
from pathlib import Path

import pytest

from qvdnode.daemon import state_folder
from qvdnode.model.errors import HostFailed


def test_a_parent_that_locks_guests_out_is_named_and_left_alone(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    with pytest.raises(HostFailed, match="chmod o\\+x"):
        state_folder.prepare(closed / "state")
    assert closed.stat().st_mode & 0o777 == 0o700


def test_secrets_are_for_the_node_alone(tmp_path: Path) -> None:
    state = tmp_path / "state"
    with contextlib.suppress(HostFailed):  # pytest's own folders are closed; the parts are made
        state_folder.prepare(state)
    assert (state / "tls").stat().st_mode & 0o777 == 0o700
    assert (state / "state").stat().st_mode & 0o777 == 0o700
    assert (state / "images").stat().st_mode & 0o777 == 0o711
    assert (state / "docker").stat().st_mode & 0o777 == 0o700
