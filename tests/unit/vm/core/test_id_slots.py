import pytest
from hypothesis import given
from hypothesis import strategies as st

from qvdnode.model.errors import NodeFull
from qvdnode.model.guest import IdRange
from qvdnode.vm.core.id_slots import IdSlots

BASE = 0x7000_0000


def test_ranges_are_given_from_the_base_up() -> None:
    slots = IdSlots(BASE, 10)
    assert [slots.take().start for _ in range(3)] == [BASE, BASE + 65_536, BASE + 131_072]
    assert slots.taken == 3


def test_a_freed_range_is_given_again() -> None:
    slots = IdSlots(BASE, 10)
    first, _ = slots.take(), slots.take()
    slots.free(first)
    slots.free(first)
    assert slots.take() == first


def test_a_full_node_says_so() -> None:
    slots = IdSlots(BASE, 1)
    slots.take()
    with pytest.raises(NodeFull, match="all 1 id ranges"):
        slots.take()


def test_an_adopted_range_is_not_given_to_another() -> None:
    slots = IdSlots(BASE, 3)
    assert slots.adopt(IdRange(BASE))
    assert not slots.adopt(IdRange(BASE))
    assert slots.take() == IdRange(BASE + 65_536)


@pytest.mark.parametrize("start", [0, BASE - 65_536, BASE + 1, BASE + 3 * 65_536])
def test_a_range_that_is_not_ours_is_not_claimed(start: int) -> None:
    slots = IdSlots(BASE, 3)
    assert not slots.adopt(IdRange(start))
    assert slots.taken == 0


@given(st.lists(st.tuples(st.sampled_from(["take", "free"]), st.integers(0, 9))))
def test_no_two_guests_ever_share_ids(steps: list[tuple[str, int]]) -> None:
    slots, held = IdSlots(BASE, 5), list[IdRange]()
    for what, which in steps:
        if what == "free" and held:
            slots.free(held.pop(which % len(held)))
        elif what == "take" and len(held) < 5:
            fresh = slots.take()
            assert fresh not in held
            held.append(fresh)
        assert slots.taken == len(held)
