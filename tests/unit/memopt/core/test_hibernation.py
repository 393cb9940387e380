from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qvdnode.memopt.core.figures import MIB, GuestFigures
from qvdnode.memopt.core.hibernation import (
    AT_ONCE,
    COMPRESSED,
    NO_SWAP,
    SQUEEZE_GRACE_S,
    SWAP_FULL,
    SWAP_RESERVE_MIB,
    Marks,
    plan,
)
from qvdnode.memopt.core.meminfo import HostMemory
from qvdnode.model.vm_state import VmState
from tests.unit.memopt.guests import NOW, guest

MARKS = Marks(warm_mib=4000, squeeze_mib=1000, busy_pct=5.0)


def host(available_mib: int, swap_mib: int = 8000) -> HostMemory:
    return HostMemory(10_000, available_mib, swap_mib, swap_total_mib=8000)


def chosen(guests: list[GuestFigures], memory: HostMemory) -> list[int]:
    return [int(vm_id) for vm_id, _ in plan(guests, memory, MARKS, NOW).choices]


PLENTY, LOW, SQUEEZED = host(4000), host(3999), host(999)


@pytest.mark.parametrize(
    ("one", "memory", "sleeps"),
    [
        (guest(unused_s=301), PLENTY, False),
        (guest(unused_s=301), LOW, True),
        (guest(unused_s=299), LOW, False),
        (guest(unused_s=299), SQUEEZED, True),
        (guest(unused_s=SQUEEZE_GRACE_S - 1), SQUEEZED, False),
        (guest(unused_s=5, grace_s=3), SQUEEZED, True),
        (guest(unused_s=9999, grace_s=0), SQUEEZED, False),
        (guest(unused_s=301, cpu_pct=50.0), LOW, False),
        (guest(unused_s=301, cpu_pct=50.0), SQUEEZED, True),
        (guest(), SQUEEZED, False),
        (guest(unused_s=301, viewer=True), SQUEEZED, False),
        (guest(unused_s=301, state=VmState.HIBERNATED), SQUEEZED, False),
        (guest(unused_s=301, state=VmState.STOPPING), SQUEEZED, False),
    ],
)
def test_who_hibernates_when(one: GuestFigures, memory: HostMemory, *, sleeps: bool) -> None:
    assert chosen([one], memory) == ([1] if sleeps else [])


def test_the_longest_unused_goes_first_and_no_more_than_needed() -> None:
    guests = [guest(1, unused_s=400), guest(2, unused_s=900), guest(3, unused_s=500)]
    assert chosen(guests, host(3930)) == [2, 3]


def test_a_few_at_a_time() -> None:
    guests = [guest(number, unused_s=1000 - number) for number in range(1, 50)]
    assert len(chosen(guests, host(1))) == AT_ONCE


def test_without_swap_nobody_is_frozen_for_nothing_and_it_is_said() -> None:
    made = plan([guest(unused_s=999)], HostMemory(10_000, 500, 0), MARKS, NOW)
    assert (made.choices, made.obstacle) == ((), NO_SWAP)
    assert plan([guest()], HostMemory(10_000, 500, 0), MARKS, NOW).obstacle is None


def test_a_full_swap_keeps_the_next_desktop_awake_and_it_is_said() -> None:
    guests = [guest(1, unused_s=999), guest(2, unused_s=998)]
    made = plan(guests, host(500, swap_mib=SWAP_RESERVE_MIB + 100), MARKS, NOW)
    assert [vm_id for vm_id, _ in made.choices] == [1]
    assert made.obstacle == SWAP_FULL


@pytest.mark.parametrize(("memory", "words"), [(LOW, "of use"), (SQUEEZED, "short of memory")])
def test_the_reason_tells_memory_and_time(memory: HostMemory, words: str) -> None:
    [(_, reason)] = plan([guest(unused_s=400)], memory, MARKS, NOW).choices
    assert words in reason
    assert f"{memory.available_mib} MiB are available" in reason
    assert "400 s" in reason


guests = st.builds(
    guest,
    st.integers(1, 1000),
    unused_s=st.none() | st.floats(0, 10_000),
    mib=st.integers(0, 500),
    grace_s=st.integers(0, 600),
    state=st.sampled_from(VmState),
    cpu_pct=st.floats(0, 200),
)


@given(st.lists(guests), st.integers(0, 10_000), st.integers(0, 8000))
def test_nobody_connected_is_touched_and_swap_is_never_overfilled(
    found: list[GuestFigures], available_mib: int, swap_mib: int
) -> None:
    made = plan(found, host(available_mib, swap_mib), MARKS, NOW)
    taken = [vm_id for vm_id, _ in made.choices]
    by_id = {one.vm_id: one for one in found if one.vm_id in taken}
    assert all(not one.viewer and one.unused_since is not None for one in by_id.values())
    assert len(taken) <= AT_ONCE


def test_a_simulated_evening_frees_memory_in_the_order_of_leaving() -> None:
    """100 users leave one by one; whoever is hibernated left before all that are awake."""
    awake = {number: guest(number) for number in range(1, 101)}
    asleep: list[int] = []
    available_mib, now = 900, NOW
    for leaving in range(1, 101):
        now = NOW + timedelta(seconds=20 * leaving)
        awake[leaving] = guest(leaving, unused_s=-20.0 * leaving)
        made = plan(list(awake.values()), host(available_mib), MARKS, now)
        for vm_id, _ in made.choices:
            size_mib = awake.pop(int(vm_id)).memory.anon_bytes // MIB
            available_mib += size_mib - size_mib // COMPRESSED
            asleep.append(int(vm_id))
        unused = [number for number, one in awake.items() if one.unused_since is not None]
        assert not asleep or not unused or max(asleep) < min(unused)
    assert asleep == sorted(asleep)
    assert available_mib >= MARKS.squeeze_mib
