"""Blocks that overlap count once."""

import pytest

from qvdnode.memopt.own_reclaim import OwnReclaim
from tests.fakes.clock import ManualClock


def test_blocks_are_counted_while_they_run_and_after() -> None:
    clock = ManualClock()
    own = OwnReclaim(clock)
    began_s, counted_s = own.read()
    assert counted_s == 0.0
    with own.running():
        clock.advance(2.0)
        with own.running():
            clock.advance(1.0)
        assert own.read() == (began_s + 3.0, 3.0)
    clock.advance(5.0)
    assert own.read() == (began_s + 8.0, 3.0)


def test_a_block_that_fails_is_counted() -> None:
    clock = ManualClock()
    own = OwnReclaim(clock)

    def fail() -> None:
        with own.running():
            clock.advance(2.0)
            raise OSError("no")

    with pytest.raises(OSError, match="no"):
        fail()
    assert own.read()[1] == 2.0
