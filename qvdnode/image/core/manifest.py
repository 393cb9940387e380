"""Manifests: every path of one root file system in one canonical text; pure.

    qvd-manifest 1
    / d 755 0 0 1700000000000000000 - -
    /bin l 777 0 0 1700000000000000000 usr/bin -
    /etc/hostname i 644 0 0 1700000000000000000 68690a -
    /usr/bin/su f 4755 0 0 1700000000000000000 55680:9f86d0... -
    /usr/bin/su2 h /usr/bin/su

The fields are path, kind, mode in octal, uid, gid, time of change in ns, payload, attributes. Lines
are sorted by the bytes of the path. Anything but letters, digits and `_./+:@~-` is written as %XX.
One tree has exactly one text, so equal trees have equal names (SHA-256 of the text), and two
manifests are compared by their lines.
"""

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, NoReturn
from urllib.parse import unquote_to_bytes

from qvdnode.model.errors import BadImage

HEADER: Final = b"qvd-manifest 1\n"
INLINE_MAX: Final = 64
"""Content of files up to this size stands in the manifest itself."""
ROOT: Final = b"/"
NAME_MAX: Final = 255
PATH_MAX: Final = 4_095
XATTRS_MAX: Final = 200_000
"""Bytes of all extended attributes of one file, with their names."""
ID_MAX: Final = 2**32 - 2
TIME_MAX: Final = 2**62
MANIFEST_MAX: Final = 2 * 1024**3
ATTRIBUTES: Final = (b"user.", b"trusted.", b"security.")
ACLS: Final = (b"system.posix_acl_access", b"system.posix_acl_default")
OVERLAY: Final = (b"user.overlay.", b"trusted.overlay.")
"""What overlays keep for themselves: never part of an image."""

_INT: Final = rb"(?:0|[1-9][0-9]{0,18})"
_TEXT: Final = rb"(?:[A-Za-z0-9_./+:@~-]|%[0-9A-F]{2})+"
_LINE: Final = re.compile(
    rb"(" + _TEXT + rb") (?:h (" + _TEXT + rb")|([dfilcbps]) (0|[1-7][0-7]{0,3}) (" + _INT + rb") ("
    + _INT + rb") (0|-?[1-9][0-9]{0,18}) (" + _TEXT + rb") (-|[A-Za-z0-9_./+:@~%=,-]+))"
)  # fmt: skip
_FILE: Final = re.compile(rb"(" + _INT + rb"):([0-9a-f]{64})")
_DEVICE: Final = re.compile(rb"(" + _INT + rb"):(" + _INT + rb")")
_HEX: Final = re.compile(rb"(?:[0-9a-f]{2})+")
_ESCAPED: Final = re.compile(rb"[^A-Za-z0-9_./+:@~-]")
_MINOR_MAX: Final = 2**20 - 1
_MAJOR_MAX: Final = 2**12 - 1

Xattrs = tuple[tuple[bytes, bytes], ...]


class Kind:
    """The letters of the kinds."""

    FOLDER: Final = "d"
    FILE: Final = "f"
    INLINE: Final = "i"
    SYMLINK: Final = "l"
    CHARACTER: Final = "c"
    BLOCK: Final = "b"
    FIFO: Final = "p"
    SOCKET: Final = "s"
    HARDLINK: Final = "h"


@dataclass(frozen=True, slots=True)
class Node:
    """One path of a tree."""

    kind: str
    mode: int = 0
    uid: int = 0
    gid: int = 0
    mtime_ns: int = 0
    size: int = 0
    """Size of a file's content, in bytes."""
    payload: bytes = b""
    """f: the digest in hexadecimal; i: the content; l: the target; h: the path it is a link to;
    c, b: MAJOR:MINOR."""
    xattrs: Xattrs = ()

    @property
    def device(self) -> tuple[int, int]:
        """Major and minor number of a device node."""
        major, _, minor = self.payload.partition(b":")
        return int(major), int(minor)


Tree = Mapping[bytes, Node]
"""Nodes by absolute path inside the root, in the order of the paths' bytes; `/` is the first."""


def keeps_xattr(name: bytes) -> bool:
    """Whether an extended attribute is part of an image."""
    if name in ACLS:
        return True
    return any(name.startswith(p) and name != p for p in ATTRIBUTES) and not name.startswith(
        OVERLAY
    )


def encode(nodes: Tree) -> bytes:
    """The canonical text of a tree, whatever the order of `nodes`."""
    return HEADER + b"".join(_line(path, nodes[path]) for path in sorted(nodes))


def name_of(text: bytes) -> str:
    """The name of a manifest: the SHA-256 of its text."""
    return hashlib.sha256(text).hexdigest()


def decode(text: bytes) -> dict[bytes, Node]:
    """The tree of a manifest; raises BadImage for anything but a canonical text of a sound tree."""
    if not text.startswith(HEADER) or not text.endswith(b"\n"):
        raise BadImage("the manifest has no valid header or is cut off")
    nodes: dict[bytes, Node] = {}
    last = b""
    for number, line in enumerate(text[len(HEADER) : -1].split(b"\n"), start=2):
        try:
            path, node = parse_line(line)
            if path <= last:
                _refuse("its path is not in order")
            _check_place(path, node, nodes)
        except BadImage as error:
            raise BadImage(f"line {number} of the manifest is wrong: {error}") from error
        nodes[path] = node
        last = path
    return nodes


def parse_line(line: bytes) -> tuple[bytes, Node]:
    """Path and node of one line without its end; raises BadImage."""
    found = _LINE.fullmatch(line)
    if found is None:
        _refuse("it has not the fields of a path")
    path = _plain(found[1])
    if found[2] is not None:
        return path, Node(Kind.HARDLINK, payload=_plain(found[2]))
    kind = found[3].decode()
    size, payload = _payload(kind, found[8])
    node = Node(
        kind, int(found[4], 8), int(found[5]), int(found[6]), int(found[7]), size, payload,
        _xattrs(found[9]),
    )  # fmt: skip
    check_node(node)
    return path, node


def check_node(node: Node) -> None:
    """Raise BadImage where the values of a node cannot be stored."""
    if max(node.uid, node.gid) > ID_MAX:
        _refuse("its owner is out of range")
    if abs(node.mtime_ns) > TIME_MAX:
        _refuse("its time of change is out of range")
    if node.kind == Kind.SYMLINK and not (
        0 < len(node.payload) <= PATH_MAX and b"\0" not in node.payload
    ):
        _refuse("its target is not valid")
    if node.kind in {Kind.CHARACTER, Kind.BLOCK}:
        major, minor = node.device
        if major > _MAJOR_MAX or minor > _MINOR_MAX:
            _refuse("its device number is out of range")
        if node.kind == Kind.CHARACTER and (major, minor) == (0, 0):
            _refuse("it is the mark by which overlays delete a file")
    if sum(len(name) + len(value) + 8 for name, value in node.xattrs) > XATTRS_MAX:
        _refuse("its extended attributes are too large")


def escape(raw: bytes) -> str:
    """Bytes as they stand in a manifest, and as people are shown them."""
    return _escape(raw).decode("ascii")


def digests(nodes: Iterable[Node]) -> dict[str, int]:
    """The objects that nodes need, with their sizes."""
    return {node.payload.decode(): node.size for node in nodes if node.kind == Kind.FILE}


def lines(text: bytes) -> Iterator[bytes]:
    """The lines of a manifest without the header."""
    body = text[len(HEADER) : -1]
    return iter(body.split(b"\n") if body else ())


def find(text: bytes, path: bytes) -> Node | None:
    """The node of one path of a manifest, without parsing the others; raises BadImage."""
    start = text.find(b"\n" + _escape(path) + b" ")
    if start < 0:
        return None
    return parse_line(text[start + 1 : text.index(b"\n", start + 1)])[1]


def _line(path: bytes, node: Node) -> bytes:
    if node.kind == Kind.HARDLINK:
        return b"%s h %s\n" % (_escape(path), _escape(node.payload))
    return b"%s %s %o %d %d %d %s %s\n" % (
        _escape(path), node.kind.encode(), node.mode, node.uid, node.gid, node.mtime_ns,
        _encoded_payload(node), _encoded_xattrs(node.xattrs),
    )  # fmt: skip


def _encoded_payload(node: Node) -> bytes:
    match node.kind:
        case Kind.FILE:
            return b"%d:%s" % (node.size, node.payload)
        case Kind.INLINE:
            return node.payload.hex().encode() or b"-"
        case Kind.SYMLINK:
            return _escape(node.payload)
        case Kind.CHARACTER | Kind.BLOCK:
            return node.payload
        case _:
            return b"-"


def _encoded_xattrs(xattrs: Xattrs) -> bytes:
    return b",".join(b"%s=%s" % (_escape(n), v.hex().encode()) for n, v in sorted(xattrs)) or b"-"


def _payload(kind: str, raw: bytes) -> tuple[int, bytes]:
    if kind == Kind.FILE:
        found = _FILE.fullmatch(raw)
        if found is None or int(found[1]) <= INLINE_MAX or int(found[1]) > TIME_MAX:
            _refuse("its size or digest is not valid")
        return int(found[1]), found[2]
    if kind == Kind.INLINE:
        content = b"" if raw == b"-" else _from_hex(raw)
        if len(content) > INLINE_MAX:
            _refuse("its content is too large to stand in the manifest")
        return len(content), content
    if kind == Kind.SYMLINK:
        return 0, _plain(raw)
    if kind in {Kind.CHARACTER, Kind.BLOCK}:
        if _DEVICE.fullmatch(raw) is None:
            _refuse("its device number is not valid")
        return 0, raw
    if raw != b"-":
        _refuse("it has a payload, and its kind has none")
    return 0, b""


def _xattrs(raw: bytes) -> Xattrs:
    if raw == b"-":
        return ()
    found: list[tuple[bytes, bytes]] = []
    for field in raw.split(b","):
        name, sign, value = field.partition(b"=")
        plain = _plain(name)
        if not sign or not keeps_xattr(plain) or len(plain) > NAME_MAX or b"\0" in plain:
            _refuse("an extended attribute is not valid")
        if found and plain <= found[-1][0]:
            _refuse("its extended attributes are not in order")
        found.append((plain, _from_hex(value) if value else b""))
    return tuple(found)


def _from_hex(raw: bytes) -> bytes:
    if _HEX.fullmatch(raw) is None:
        _refuse("a value is not hexadecimal")
    return bytes.fromhex(raw.decode("ascii"))


def _escape(raw: bytes) -> bytes:
    return _ESCAPED.sub(lambda found: b"%%%02X" % found[0][0], raw)


def _plain(text: bytes) -> bytes:
    if b"%" not in text:
        return text
    raw = unquote_to_bytes(text)
    if _escape(raw) != text:
        _refuse("a character is escaped that need not be")
    return raw


def _check_place(path: bytes, node: Node, before: Mapping[bytes, Node]) -> None:
    """Raise BadImage unless the path can stand where it does in a tree."""
    if path == ROOT:
        if node.kind != Kind.FOLDER:
            _refuse("the root is not a folder")
        return
    if len(path) > PATH_MAX or b"\0" in path:
        _refuse("its path is too long, or holds a zero byte")
    folder, slash, name = path.rpartition(b"/")
    if not slash or name in {b"", b".", b".."} or len(name) > NAME_MAX:
        _refuse("its path is not valid")
    above = before.get(folder or ROOT)
    if above is None or above.kind != Kind.FOLDER:
        _refuse("the folder that it is in is missing")
    if node.kind == Kind.HARDLINK:
        target = before.get(node.payload)
        if target is None or target.kind in {Kind.FOLDER, Kind.HARDLINK}:
            _refuse("it is a hard link to no file that comes before it")


def _refuse(why: str) -> NoReturn:
    raise BadImage(why)
