"""EROFS images: what can be said without a kernel. test_round_trip.py mounts them."""

import struct

from hypothesis import given
from hypothesis import strategies as st

from qvdnode.image.core import erofs
from qvdnode.image.core.manifest import ROOT, Kind, Node

FOLDER = Node(Kind.FOLDER, 0o755)
FILE = Node(Kind.FILE, 0o644, size=5_000_000_000, payload=b"ab" * 32)
MAGIC = struct.pack("<I", 0xE0F5E1E2)


def many(count: int) -> dict[bytes, Node]:
    return {ROOT: FOLDER, **{b"/name-%05d" % n: Node(Kind.FIFO, 0o600) for n in range(count)}}


def test_an_image_is_whole_blocks_with_a_superblock() -> None:
    for count in (0, 3, 2_000):
        image = erofs.image_of(many(count))
        assert image[1024:1028] == MAGIC
        assert len(image) % erofs.BLOCK == 0
        (blocks,) = struct.unpack_from("<I", image, 1024 + 36)
        assert blocks == len(image) // erofs.BLOCK


def test_equal_trees_give_equal_bytes() -> None:
    tree = {ROOT: FOLDER, b"/file": FILE, b"/other": Node(Kind.HARDLINK, payload=b"/file")}
    assert erofs.image_of(tree) == erofs.image_of(dict(tree))


def test_folders_and_devices_have_a_place() -> None:
    tree = {
        ROOT: FOLDER,
        b"/disk": Node(Kind.BLOCK, 0o660, payload=b"259:70000"),
        b"/sub": FOLDER,
        b"/sub/acl": Node(Kind.INLINE, xattrs=((b"system.posix_acl_access", b"1234"),)),
    }
    image = erofs.image_of(tree)
    assert len(inodes(image)) == len(tree)
    assert struct.pack("<I", (70_000 & 0xFF) | 259 << 8 | (70_000 & ~0xFF) << 12) in image
    assert erofs.image_of({**tree, b"/sub/acl": FILE}) != image


def test_a_file_leads_to_its_object() -> None:
    image = erofs.image_of({ROOT: FOLDER, b"/file": FILE})
    assert b"overlay.redirect/ab/" + b"ab" * 31 in image
    assert erofs.object_path("ab" * 32) == "ab/" + "ab" * 31


@given(
    sizes=st.lists(st.integers(0, 3_000), max_size=60),
    links=st.lists(st.integers(1, 4_095), max_size=20),
)
def test_inline_data_never_crosses_a_block(sizes: list[int], links: list[int]) -> None:
    tree = {ROOT: FOLDER}
    for number, size in enumerate(sizes):
        xattrs = ((b"user.x", bytes(size)),)
        tree[b"/a%d" % number] = Node(Kind.INLINE, size=64, payload=b"x" * 64, xattrs=xattrs)
    for number, size in enumerate(links):
        tree[b"/l%d" % number] = Node(Kind.SYMLINK, payload=b"x" * size)
    assert len(inodes(erofs.image_of(tree))) == len(tree)


def inodes(image: bytes) -> list[int]:
    """Places of inline inodes; each one's tail is checked to be in one block."""
    found = []
    place = erofs.BLOCK
    while place + 64 <= len(image):
        form, count, mode, _, size = struct.unpack_from("<HHHHQ", image, place)
        number = struct.unpack_from("<I", image, place + 20)[0]
        if number != (place - erofs.BLOCK) // erofs.SLOT + 1 or not mode:
            place += erofs.SLOT
            continue
        if form == 1 | 2 << 1:
            tail = place + 64 + (12 + 4 * (count - 1) if count else 0)
            assert tail // erofs.BLOCK == (tail + size - 1) // erofs.BLOCK
        found.append(place)
        place += 64
    return found
