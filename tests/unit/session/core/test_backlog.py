"""What of the sessions waits to be written, and what is skipped."""

from qvdnode.model.ids import UserId, VmId
from qvdnode.session.core.backlog import Backlog, Closed, Opened


def opened(key: int) -> Opened:
    return Opened(key, VmId(7), UserId(1), "192.0.2.9", None)


def closed(key: int) -> Closed:
    return Closed(key, "gone", 1, 2)


def test_entries_are_written_in_order_and_an_end_to_its_row() -> None:
    backlog = Backlog(10)
    for entry in (opened(1), opened(2), closed(1)):
        assert backlog.add(entry)
    assert backlog.next() == opened(1)
    assert backlog.next() == opened(1)
    backlog.done(row=40)
    assert backlog.next() == opened(2)
    backlog.done(row=41)
    assert backlog.next() == (closed(1), 40)
    backlog.done()
    assert backlog.next() is None
    assert backlog.rows == {2: 41}


def test_the_end_of_a_session_that_was_refused_is_skipped() -> None:
    backlog = Backlog(10)
    for entry in (opened(1), closed(1), opened(2)):
        backlog.add(entry)
    assert backlog.next() == opened(1)
    backlog.done()
    assert backlog.next() == opened(2)


def test_what_does_not_fit_is_dropped_and_forgotten() -> None:
    backlog = Backlog(1)
    backlog.add(opened(1))
    backlog.next()
    backlog.done(row=40)
    assert backlog.add(opened(2))
    assert not backlog.add(opened(3))
    assert not backlog.add(closed(1))
    assert backlog.rows == {}
    backlog.next()
    backlog.done(row=41)
    assert backlog.add(closed(3))
    assert backlog.next() is None
