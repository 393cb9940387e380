from hypothesis import given
from hypothesis import strategies as st

from qvdnode.host.core import group_files
from qvdnode.model.guest import GuestMemory


def test_memory_that_programs_share_is_no_cache() -> None:
    stat = "anon 40\nfile 50\nshmem 5\nodd line here\nworkingset x\n"
    found = group_files.of_version_2(stat, "usage_usec 7\n", 100, 200, 30)
    assert found == GuestMemory(100, 200, 45, 45, 30, 7)


def test_version_1_counts_groups_below_and_nanoseconds() -> None:
    stat = "rss 1\ntotal_rss 40\ntotal_cache 50\ntotal_shmem 5\ntotal_swap 30\n"
    assert group_files.of_version_1(stat, 100, 200, 7999) == GuestMemory(100, 200, 45, 45, 30, 7)


def test_what_a_kernel_leaves_out_is_nothing() -> None:
    assert group_files.of_version_1("", 1, 2, 0) == GuestMemory(1, 2)
    assert group_files.of_version_2("", "", 1, 2, 0) == GuestMemory(1, 2)


@given(st.text())
def test_no_text_breaks_it(text: str) -> None:
    assert group_files.of_version_1(text, 0, 0, 0).anon_bytes >= 0
    assert group_files.of_version_2(text, text, 0, 0, 0).cache_bytes >= 0
