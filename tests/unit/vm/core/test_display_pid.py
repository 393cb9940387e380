import pytest
from hypothesis import given
from hypothesis import strategies as st

from qvdnode.vm.core.display_pid import parse_exit, parse_pid


@pytest.mark.parametrize(
    ("content", "pid"),
    [
        (b"23\n", 23),
        (b" 4194304", 4194304),
        (b"", None),
        (b"0\n", None),  # a signal to 0 goes to the sender's own group
        (b"-1\n", None),  # and one to -1 to everybody
        (b"12345678\n", None),
        (b"1 2\n", None),
        ("\N{ARABIC-INDIC DIGIT ONE}".encode(), None),
    ],
)
def test_a_pid_is_read_or_nothing(content: bytes, pid: int | None) -> None:
    assert parse_pid(content) == pid


@given(st.binary())
def test_any_bytes_are_some_process_or_none(content: bytes) -> None:
    pid = parse_pid(content)
    assert pid is None or 0 < pid < 10**7


@pytest.mark.parametrize(
    ("content", "code"),
    [(b"127\n", 127), (b"0\n", 0), (b"255", 255), (b"256", None), (b"1270", None), (b"", None),
     (b"-1", None), (b"\xff", None)],
)  # fmt: skip
def test_an_exit_code_is_read_or_nothing(content: bytes, code: int | None) -> None:
    assert parse_exit(content) == code
