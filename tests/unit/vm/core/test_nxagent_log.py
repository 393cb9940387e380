from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qvdnode.vm.core.display import DisplayEvent as E
from qvdnode.vm.core.nxagent_log import KEPT_MAX, LogParser

LOGS = Path(__file__).parent / "nxagent_logs"
LOG = b"""\
NXAGENT - Version 3.5.99.26
Loading keyboard map.
Session: Starting session at 'Thu Jan  1 00:00:00 2026'.
Info: Waiting for connection from any host on socket 'tcp:*:4100'.
Info: Connection to remote proxy established.
Session: Session started at 'Thu Jan  1 00:00:01 2026'.
Session: Suspending session at 'Thu Jan  1 00:01:00 2026'.
Session: Session suspended at 'Thu Jan  1 00:01:00 2026'.
Session: Resuming session at 'Thu Jan  1 00:02:00 2026'.
Info: Waiting for connection from any host on socket 'tcp:*:4100'.
Session: Session resumed at 'Thu Jan  1 00:02:00 2026'.
Session: Terminating session at 'Thu Jan  1 00:03:00 2026'.
Session: Session terminated at 'Thu Jan  1 00:03:00 2026'.
"""
EVENTS = [E.BEGINS, E.LISTENS, E.CONNECTED, E.SUSPENDS, E.SUSPENDED, E.BEGINS, E.LISTENS,
          E.CONNECTED, E.ENDS, E.GONE]  # fmt: skip


def fed(*pieces: bytes) -> list[E]:
    parser = LogParser()
    return [event for piece in pieces for event in parser.feed(piece)]


def test_a_whole_log_is_understood() -> None:
    assert fed(LOG) == EVENTS


def test_a_log_split_at_any_byte_is_the_same() -> None:
    for cut in range(len(LOG) + 1):
        assert fed(LOG[:cut], LOG[cut:]) == EVENTS


@pytest.mark.parametrize("log", sorted(LOGS.glob("*.log")), ids=lambda path: path.stem)
def test_the_logs_of_all_versions_that_debian_has_are_understood(log: Path) -> None:
    """Each is of a display that was shown, left and shown again twice, then ended."""
    shown, left = [E.BEGINS, E.LISTENS, E.CONNECTED], [E.SUSPENDS, E.SUSPENDED]
    content = log.read_bytes()
    assert fed(content) == [*(shown + left) * 3, E.ENDS, E.GONE]
    assert fed(*(content[at : at + 7] for at in range(0, len(content), 7))) == fed(content)


def test_an_abort_is_an_end() -> None:
    assert fed(b"Session: Aborting session at 'x'.\nSession: Session aborted at 'x'.\n") == [
        E.ENDS,
        E.GONE,
    ]


def test_a_sentence_counts_wherever_it_stands() -> None:
    assert fed(b"a message: Ctrl+Alt+cSession: Session resumed at 'now'.\n") == [E.CONNECTED]
    assert fed(b"Session: Suspending session at 'x'.Session: Session suspended at 'x'.") == [
        E.SUSPENDS,
        E.SUSPENDED,
    ]


def test_a_sentence_counts_before_its_line_ends() -> None:
    assert fed(b"Session: Session resumed at") == [E.CONNECTED]


def test_what_comes_before_a_sentence_may_be_of_any_length() -> None:
    parser = LogParser()
    for _ in range(1000):
        assert parser.feed(b"x" * 4096) == []
    assert parser.feed(b"Session: Session suspended at 'x'.\n") == [E.SUSPENDED]


def test_a_replaced_log_continues_no_sentence() -> None:
    parser = LogParser()
    assert parser.feed(b"Session: Sess") == []
    parser.restart()
    assert parser.feed(b"ion suspended at 'x'.\n") == []
    assert parser.feed(b"Session: Session suspended at 'x'.\n") == [E.SUSPENDED]


@given(st.lists(st.binary(max_size=9000)))
def test_whatever_a_guest_writes_costs_no_memory(pieces: list[bytes]) -> None:
    parser = LogParser()
    for piece in pieces:
        parser.feed(piece)
        assert len(parser._rest) <= KEPT_MAX
