from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from qvdnode.host import mounts

TEXT = r"""22 1 254:0 / / rw,relatime - ext4 /dev/vda rw
43 22 254:0 /images/1 /s/vms/7/1/lower ro,nodev - ext4 /dev/vda rw
44 22 0:39 / /s/vms/7/1/root rw shared:1 master:2 - overlay overlay rw,lowerdir=/a
45 44 7:0 /home\040of\040ana /s/vms/7/1/root/a\134b\303\251 rw - ext4 /dev/loop0 rw
46 22 0:40 / /s/vms/77 rw - tmpfs tmpfs rw
broken line
"""


def test_lines_of_mountinfo_are_read_with_their_escapes() -> None:
    found = mounts.parse_mountinfo(TEXT)
    assert len(found) == 5
    assert found[1] == mounts.Mount(Path("/s/vms/7/1/lower"), "ext4", "/dev/vda", "/images/1")
    assert found[2].kind == "overlay"
    assert found[3].point == Path("/s/vms/7/1/root/a\\bé")
    assert found[3].root == "/home of ana"


def test_what_lies_below_comes_in_the_order_of_unmounting() -> None:
    found = mounts.under(Path("/s/vms/7"), mounts.parse_mountinfo(TEXT))
    assert found == [
        Path("/s/vms/7/1/root/a\\bé"),
        Path("/s/vms/7/1/root"),
        Path("/s/vms/7/1/lower"),
    ]


@given(st.text(max_size=200))
def test_any_text_is_read(text: str) -> None:
    mounts.parse_mountinfo(text)


def test_an_escape_of_no_byte_is_left_as_it_is() -> None:
    (found,) = mounts.parse_mountinfo("1 2 0:1 / /a\\777 rw - ext4 /dev/sda rw\n")
    assert found.point == Path("/a\\777")
