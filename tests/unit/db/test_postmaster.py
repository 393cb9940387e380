"""What a server writes about itself."""

import pytest

from qvdnode.db.postmaster import READY, PidFile, parse_pid_file

WHOLE = "4711\n/x/pg/data\n1790000000\n5432\n/run/sockets\n\n  1234   5\nready   \n"


def test_a_whole_file_is_read() -> None:
    assert parse_pid_file(WHOLE) == PidFile(4711, "/run/sockets", READY)


@pytest.mark.parametrize("length", range(len(WHOLE) - len("ready   \n") + 1))
def test_a_file_that_is_still_being_written_is_no_server(length: int) -> None:
    assert parse_pid_file(WHOLE[:length]) is None


def test_rubbish_is_no_server() -> None:
    assert parse_pid_file("x" + WHOLE) is None
