"""Manifests: one text for one tree, and nothing else is taken."""

import hashlib
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qvdnode.image.core import manifest as manifests
from qvdnode.image.core.manifest import HEADER, ROOT, Kind, Node
from qvdnode.model.errors import BadImage

DIGEST = b"ab" * 32
FOLDER = Node(Kind.FOLDER, 0o755, mtime_ns=1)
ODD = {
    ROOT: FOLDER,
    b"/a b%\xff\n": Node(Kind.INLINE, 0o644, 5, 6, -1, 2, b"hi"),
    b"/big": Node(Kind.FILE, 0o4755, 0, 0, 7, 65, DIGEST, ((b"security.capability", b"\x01"),)),
    b"/big2": Node(Kind.HARDLINK, payload=b"/big"),
    b"/d": replace(FOLDER, xattrs=((b"user.a=b,c", b""), (b"user.z", b"\xff"))),
    b"/d/fifo": Node(Kind.FIFO, 0o600),
    b"/d/link": Node(Kind.SYMLINK, 0o777, payload=b"../\xfe x"),
    b"/d/null": Node(Kind.CHARACTER, 0o666, payload=b"1:3"),
    b"/d/sock": Node(Kind.SOCKET),
    b"/d-": Node(Kind.BLOCK, payload=b"8:0"),
    b"/empty": Node(Kind.INLINE, 0o644),
}


def text(*lines: bytes) -> bytes:
    root = b"/ d 755 0 0 0 - -"
    return HEADER + b"".join(line + b"\n" for line in (root, *lines))


def test_every_kind_of_file_survives() -> None:
    whole = manifests.encode(ODD)
    assert manifests.decode(whole) == ODD
    assert list(manifests.decode(whole)) == sorted(ODD)
    assert manifests.encode(dict(reversed(ODD.items()))) == whole
    assert manifests.digests(ODD.values()) == {DIGEST.decode(): 65}
    assert manifests.name_of(whole) == hashlib.sha256(whole).hexdigest()


def test_one_path_is_found_without_the_others() -> None:
    whole = manifests.encode(ODD)
    for path, node in ODD.items():
        assert manifests.find(whole, path) == node
    assert manifests.find(whole, b"/d/fif") is None
    assert len(list(manifests.lines(whole))) == len(ODD)
    assert list(manifests.lines(HEADER)) == []
    assert manifests.escape(b"a\n") == "a%0A"


names = st.binary(min_size=1, max_size=12).filter(
    lambda name: not {0, 47} & set(name) and name not in {b".", b".."}
)
files = st.builds(
    Node, st.just(Kind.INLINE), st.integers(0, 0o7777), st.integers(0, 2**32 - 2),
    st.integers(0, 2**32 - 2), st.integers(-(2**62), 2**62), st.just(3),
    st.binary(min_size=3, max_size=3),
)  # fmt: skip


@given(st.dictionaries(names, files, max_size=8))
def test_any_names_and_values_survive(found: dict[bytes, Node]) -> None:
    tree = {ROOT: FOLDER, **{b"/" + name: node for name, node in found.items()}}
    assert manifests.decode(manifests.encode(tree)) == tree


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        (b"", "header"),
        (b"qvd-manifest 2\n", "header"),
        (HEADER + b"/ d 755 0 0 0 - -", "cut off"),
        (HEADER + b"/a d 755 0 0 0 - -\n", "folder that it is in"),
        (HEADER + b"/ p 755 0 0 0 - -\n", "root is not a folder"),
        (text(b"/b p 1 0 0 0 - -", b"/a p 1 0 0 0 - -"), "not in order"),
        (text(b"/a p 1 0 0 0 - -", b"/a p 1 0 0 0 - -"), "not in order"),
        (text(b"/a/b p 1 0 0 0 - -"), "folder that it is in"),
        (text(b"/a p 1 0 0 0 - -", b"/a/b p 1 0 0 0 - -"), "folder that it is in"),
        (text(b"/.. p 1 0 0 0 - -"), "path is not valid"),
        (text(b"/a/ p 1 0 0 0 - -"), "path is not valid"),
        (text(b"a p 1 0 0 0 - -"), "path is not valid"),
        (text(b"/%00 p 1 0 0 0 - -"), "zero byte"),
        (text(b"/%61 p 1 0 0 0 - -"), "escaped"),
        (text(b"/%ff p 1 0 0 0 - -"), "not the fields"),
        (text(b"/a p 01 0 0 0 - -"), "not the fields"),
        (text(b"/a p 1 00 0 0 - -"), "not the fields"),
        (text(b"/a p 1 0 0 -0 - -"), "not the fields"),
        (text(b"/a x 1 0 0 0 - -"), "not the fields"),
        (text(b"/a p 1 0 0 0 ab -"), "has a payload"),
        (text(b"/a p 1 4294967295 0 0 - -"), "owner"),
        (text(b"/a p 1 0 0 9999999999999999999 - -"), "time of change"),
        (text(b"/a f 1 0 0 0 64:" + DIGEST + b" -"), "size or digest"),
        (text(b"/a f 1 0 0 0 65:" + DIGEST[2:] + b" -"), "size or digest"),
        (text(b"/a i 1 0 0 0 " + b"00" * 65 + b" -"), "too large to stand"),
        (text(b"/a i 1 0 0 0 0 -"), "not hexadecimal"),
        (text(b"/a l 777 0 0 0 %00 -"), "target"),
        (text(b"/a c 1 0 0 0 0:0 -"), "overlays delete"),
        (text(b"/a c 1 0 0 0 4096:0 -"), "device number"),
        (text(b"/a b 1 0 0 0 1 -"), "device number"),
        (text(b"/a h /a"), "hard link"),
        (text(b"/a h /b"), "hard link"),
        (text(b"/a d 1 0 0 0 - -", b"/b h /a"), "hard link"),
        (text(b"/a p 1 0 0 0 - user.b=,user.a="), "not in order"),
        (text(b"/a p 1 0 0 0 - trusted.overlay.opaque=79"), "attribute"),
        (text(b"/a p 1 0 0 0 - user.=00"), "attribute"),
        (text(b"/a p 1 0 0 0 - system.other=00"), "attribute"),
        (text(b"/a p 1 0 0 0 - user.a=0"), "hexadecimal"),
        (text(b"/" + b"x" * 256 + b" p 1 0 0 0 - -"), "path is not valid"),
        (text(b""), "not the fields"),
    ],
)
def test_anything_but_the_canonical_text_of_a_sound_tree_is_refused(bad: bytes, why: str) -> None:
    with pytest.raises(BadImage, match=why):
        manifests.decode(bad)


def test_attributes_that_no_file_system_could_keep_are_refused() -> None:
    huge = replace(FOLDER, xattrs=tuple((b"user.%d" % n, bytes(60_000)) for n in range(4)))
    with pytest.raises(BadImage, match="too large"):
        manifests.decode(manifests.encode({ROOT: huge}))


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        (b"user.note", True),
        (b"trusted.x", True),
        (b"security.capability", True),
        (b"system.posix_acl_access", True),
        (b"system.nfs4_acl", False),
        (b"user.overlay.opaque", False),
        (b"trusted.overlay.redirect", False),
        (b"user.", False),
    ],
)
def test_what_overlays_keep_is_no_part_of_an_image(name: bytes, *, kept: bool) -> None:
    assert manifests.keeps_xattr(name) == kept
