"""Files of a guest as files of an image."""

import struct
from dataclasses import replace

import pytest

from qvdnode.image.core import guest_ids
from qvdnode.image.core.manifest import Kind, Node
from qvdnode.model.errors import BadImage

START, COUNT = 0x7000_0000, 65_536
FILE = Node(Kind.INLINE, 0o644, START + 1000, START + 42)
VERSION_2 = bytes.fromhex("0100000200040000000000000000000000000000")
VERSION_3 = bytes.fromhex("0100000300040000000000000000000000000000") + struct.pack("<I", START)


def acl(number: int) -> bytes:
    entries = ((1, 7, 0xFFFFFFFF), (2, 4, number), (0x20, 0, 0xFFFFFFFF))
    return struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in entries)


def test_ids_count_from_the_guests_first() -> None:
    found = guest_ids.unshifted(FILE, START, COUNT)
    assert (found.uid, found.gid) == (1000, 42)
    link = Node(Kind.HARDLINK, payload=b"/x")
    assert guest_ids.unshifted(link, START, COUNT) == link


@pytest.mark.parametrize("uid", [0, START - 1, START + COUNT])
def test_ids_of_others_are_refused(uid: int) -> None:
    with pytest.raises(BadImage, match="not an id of the desktop"):
        guest_ids.unshifted(replace(FILE, uid=uid), START, COUNT)


@pytest.mark.parametrize(
    ("name", "value", "wanted"),
    [
        (b"security.capability", VERSION_3, VERSION_2),
        (b"security.capability", VERSION_2, VERSION_2),
        (b"security.capability", bytes(24), bytes(24)),
        (b"system.posix_acl_access", acl(START + 7), acl(7)),
        (b"user.note", VERSION_3, VERSION_3),
    ],
)
def test_attributes_name_the_ids_of_the_image(name: bytes, value: bytes, wanted: bytes) -> None:
    found = guest_ids.unshifted(replace(FILE, xattrs=((name, value),)), START, COUNT)
    assert found.xattrs == ((name, wanted),)


@pytest.mark.parametrize("value", [b"", b"123", acl(7), acl(START + 7)[:-1]])
def test_a_broken_list_of_rights_is_refused(value: bytes) -> None:
    with pytest.raises(BadImage):
        guest_ids.unshifted(
            replace(FILE, xattrs=((b"system.posix_acl_default", value),)), START, COUNT
        )
