"""Whose turn is next."""

from qvdnode.auth.core.fair_queue import FairQueue


def test_sources_take_turns_however_many_wait_of_each() -> None:
    queue: FairQueue[str] = FairQueue(at_once=1)
    for number in range(3):
        queue.enter("flood", f"rubbish {number}")
    queue.enter("other", "right")
    order = []
    while (waiter := queue.begin_next()) is not None:
        order.append(waiter)
        assert queue.begin_next() is None
        queue.end("other" if waiter == "right" else "flood")
    assert order == ["rubbish 0", "right", "rubbish 1", "rubbish 2"]
    assert len(queue) == 0


def test_a_source_has_one_turn_at_a_time_and_others_go_meanwhile() -> None:
    queue: FairQueue[str] = FairQueue(at_once=2)
    for name in ("a1", "a2", "b1", "c1"):
        queue.enter(name[0], name)
    assert [queue.begin_next() for _ in range(3)] == ["a1", "b1", None]
    assert (queue.waiting("a"), queue.waiting("b")) == (1, 0)
    queue.end("b")
    assert queue.begin_next() == "c1"
    queue.end("c")
    assert queue.begin_next() is None  # a2 waits for a1
    assert len(queue) == 1
    queue.end("a")
    assert queue.begin_next() == "a2"


def test_whoever_withdraws_has_no_turn() -> None:
    queue: FairQueue[str] = FairQueue(at_once=1)
    for name in ("a1", "a2", "b1"):
        queue.enter(name[0], name)
    queue.withdraw("a", "a1")
    queue.withdraw("b", "b1")
    assert queue.begin_next() == "a2"
    assert queue.waiting("b") == 0
