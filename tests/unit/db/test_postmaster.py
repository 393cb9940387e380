"""What a server writes about itself."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qvdnode.db.postmaster import READY, PidFile, parse_pid_file

WHOLE = "4711\n/x/pg/data\n1790000000\n5432\n/run/sockets\n\n  1234   5\nready   \n"


def test_a_whole_file_is_read() -> None:
    assert parse_pid_file(WHOLE) == PidFile(4711, "/run/sockets", READY)


@pytest.mark.parametrize("length", range(len(WHOLE) - len("ready   \n") + 1))
def test_a_file_that_is_still_being_written_is_no_server(length: int) -> None:
    assert parse_pid_file(WHOLE[:length]) is None


@pytest.mark.parametrize("pid", ["x4711", "", "4\x1f711", "\u0664", "9" * 5_000, "-1"])
def test_rubbish_is_no_server(pid: str) -> None:
    assert parse_pid_file(WHOLE.replace("4711", pid)) is None


@given(st.text(alphabet="47\n \x1fready", max_size=80))
def test_any_text_is_read_or_no_server(text: str) -> None:
    found = parse_pid_file(text)
    assert found is None or found.pid >= 0
