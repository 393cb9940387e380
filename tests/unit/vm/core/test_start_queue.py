"""Whose turn it is to be brought up."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qvdnode.model.errors import NodeFull
from qvdnode.vm.core.start_queue import StartQueue


def test_slots_are_given_at_once_and_then_in_order() -> None:
    queue = StartQueue(2, 10)
    assert [queue.enter() for _ in range(4)] == [1, 2, 3, 4]
    assert (queue.holders, queue.waiting, queue.free) == ({1, 2}, [3, 4], 0)
    assert queue.leave(2) == 3
    assert queue.leave(3) == 4
    assert queue.leave(1) is None
    assert queue.free == 1
    assert queue.leave(4) is None
    assert (queue.holders, queue.free) == (set(), 2)


def test_who_waits_leaves_without_a_slot_to_give() -> None:
    queue = StartQueue(1, 10)
    first, second, third = [queue.enter() for _ in range(3)]
    assert queue.leave(second) is None
    assert queue.leave(second) is None
    assert queue.waiting == [third]
    assert queue.leave(first) == third


@pytest.mark.parametrize(
    ("queue_max", "sentence"), [(0, "0 desktops wait"), (1, "1 desktop waits"), (2, "2 desktops")]
)
def test_a_full_queue_refuses(queue_max: int, sentence: str) -> None:
    queue = StartQueue(1, queue_max)
    for _ in range(1 + queue_max):
        queue.enter()
    with pytest.raises(NodeFull, match=sentence):
        queue.enter()
    assert queue.last_ticket == 1 + queue_max


def test_more_slots_are_given_at_once() -> None:
    queue = StartQueue(1, 10)
    for _ in range(4):
        queue.enter()
    assert queue.resize(3) == [2, 3]
    assert (queue.holders, queue.waiting) == ({1, 2, 3}, [4])


def test_with_fewer_slots_none_is_given_until_enough_came_back() -> None:
    queue = StartQueue(3, 10)
    for _ in range(5):
        queue.enter()
    assert queue.resize(1) == []
    assert queue.leave(1) is None
    assert queue.leave(2) is None
    assert queue.leave(3) == 4
    assert StartQueue(0, 1, holders={1}).free == 0


@given(st.lists(st.integers(0, 30)), st.integers(1, 3))
def test_no_slot_is_lost_or_given_twice(leavers: list[int], at_once: int) -> None:
    """Each number lets somebody enter, or the ticket of that number leave."""
    queue = StartQueue(at_once, 100)
    inside: list[int] = []
    for number in leavers:
        if number in inside:
            inside.remove(number)
            following = queue.leave(number)
            assert following is None or following in inside
        else:
            inside.append(queue.enter())
        assert queue.holders == set(inside[:at_once])
        assert queue.waiting == inside[at_once:]
        assert queue.free == max(0, at_once - len(inside))
