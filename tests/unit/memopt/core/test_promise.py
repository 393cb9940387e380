from hypothesis import given
from hypothesis import strategies as st

from qvdnode.memopt.core.meminfo import HostMemory
from qvdnode.memopt.core.promise import capacity_mib, refusal

HOST = HostMemory(total_mib=8192, available_mib=6000, swap_free_mib=0)
FLOOR_MIB = 256


def test_the_last_guest_that_fits_is_let_in() -> None:
    assert refusal(1024, 1024, HOST, FLOOR_MIB) is None
    assert refusal(1025, 1024, HOST, FLOOR_MIB) == (
        "This node is full: the desktop needs 1025 MiB of memory, 1024 MiB are not promised to "
        "others. Try again when one has ended."
    )


def test_overcommit_promises_the_same_memory_again() -> None:
    assert capacity_mib(HOST, host_reserve_mib=1024, overcommit=2.0) == 14336


def test_a_host_that_is_really_short_starts_nothing() -> None:
    short = HostMemory(8192, 255, 0)
    assert refusal(1, 7168, short, FLOOR_MIB) is not None


def test_a_host_smaller_than_its_reserve_takes_nobody() -> None:
    tiny = HostMemory(512, 512, 0)
    assert capacity_mib(tiny, host_reserve_mib=1024, overcommit=1.0) == 0
    assert refusal(1, 0, tiny, FLOOR_MIB) is not None


@given(st.lists(st.integers(1, 4096)), st.integers(0, 65_536), st.integers(0, 8192))
def test_never_more_is_promised_than_there_is(sizes: list[int], total: int, reserve: int) -> None:
    host = HostMemory(total, total, 0)
    capacity, promised = capacity_mib(host, reserve, overcommit=1.0), 0
    for size in sizes:
        if refusal(size, capacity - promised, host, available_floor_mib=0) is None:
            promised += size
    assert promised <= max(total - reserve, 0)
