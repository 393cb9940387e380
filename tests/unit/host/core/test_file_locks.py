"""Whose locks on files are whose."""

from hypothesis import given
from hypothesis import strategies as st

from qvdnode.host.core.file_locks import Holder, by_holder, counted, mounted_devices

LISTED = b"""1: POSIX  ADVISORY  WRITE 123 08:02:1234 0 EOF
1: -> POSIX  ADVISORY  READ 124 08:02:1234 0 EOF
2: OFDLCK ADVISORY  READ  -1 07:0a:12 2 2
3: POSIX  ADVISORY  READ  777 07:0a:12 4 4
4: FLOCK  ADVISORY  WRITE 9 <none>:0 0 EOF
5: POSIX
6: POSIX  ADVISORY  READ  1 08:02"""
HOST, OWN = (8, 2), (7, 10)
MOUNTINFO = """22 1 8:2 / / rw,relatime shared:1 - ext4 /dev/sda2 rw
31 22 7:10 / /home rw - ext4 /dev/loop10 rw
broken
"""


def test_locks_are_counted_by_process_and_device() -> None:
    counts = counted(LISTED)
    assert counts.total == 4  # one has no file, two are not whole lines
    assert counts.by_place == {(123, HOST): 1, (124, HOST): 1, (-1, OWN): 1, (777, OWN): 1}


def test_a_lock_is_its_processs_or_else_that_of_who_alone_has_the_file_system() -> None:
    holders = {"one": Holder({123}, {HOST, OWN}), "two": Holder({124}, {HOST})}
    assert by_holder(counted(LISTED), holders, {1, 123, 124}) == {"one": 3, "two": 1}
    # The host's own, and one of a file system that two have.
    assert by_holder(counted(LISTED), holders, {1, 123, 124, 777}) == {"one": 2, "two": 1}
    both = {"one": Holder({123}, {OWN}), "two": Holder({124}, {OWN})}
    assert by_holder(counted(LISTED), both, {123, 124}) == {"one": 1, "two": 1}


def test_devices_are_read_from_mountinfo() -> None:
    assert mounted_devices(MOUNTINFO) == {HOST, OWN}
    assert mounted_devices("") == set()


@given(st.binary())
def test_any_list_is_counted(text: bytes) -> None:
    counts = counted(text)
    assert counts.total == sum(counts.by_place.values())
