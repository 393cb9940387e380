"""Packs: objects packed with zstd, some as patches on other objects, as one stream; pure.

    "qvd-pack 1\n"
    0x01, digest (32 bytes), chunks             an object
    0x02, digest, digest of its base, chunks    an object as a patch on another one
    0x00                                        the end

A chunk is four bytes of length (big-endian, at most CHUNK_MAX) and so many bytes; one without bytes
ends the object. The chunks of an object are one frame of zstd. How long its content is stands in
the manifest of the commit that the objects are of.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final, NoReturn

from qvdnode.model.errors import BadImage

MAGIC: Final = b"qvd-pack 1\n"
END: Final = b"\x00"
PLAIN: Final = 1
PATCH: Final = 2
CHUNK_MAX: Final = 1 << 20
_DIGEST: Final = 32
_LENGTH: Final = 4


@dataclass(frozen=True, slots=True)
class Head:
    """An object begins."""

    digest: str
    base: str | None = None
    """What it is a patch on."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """Some of the frame of the object that has begun."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Tail:
    """The object is whole."""


Part = Head | Chunk | Tail


def head(digest: str, base: str | None = None) -> bytes:
    """The beginning of an object."""
    if base is None:
        return bytes([PLAIN]) + bytes.fromhex(digest)
    return bytes([PATCH]) + bytes.fromhex(digest) + bytes.fromhex(base)


def chunks(frame: Iterable[bytes]) -> Iterator[bytes]:
    """The chunks of a frame that comes in pieces, with the one that ends it."""
    for piece in frame:
        for at in range(0, len(piece), CHUNK_MAX):
            part = piece[at : at + CHUNK_MAX]
            yield len(part).to_bytes(_LENGTH, "big") + part
    yield bytes(_LENGTH)


class PackReader:
    """Reads one pack, in pieces as they come."""

    def __init__(self) -> None:
        self._waiting = bytearray()
        self._begun = False
        self._inside = False
        """Whether chunks of an object are expected."""
        self.done = False
        """Whether the pack is whole."""

    def feed(self, data: bytes) -> Iterator[Part]:
        """What these bytes hold; raises BadImage for what is no pack."""
        self._waiting += data
        at = 0
        try:
            while (step := self._next(at)) is not None:
                part, at = step
                if part is not None:
                    yield part
        finally:
            del self._waiting[:at]
        if self.done and self._waiting:
            _refuse("something follows the end of the pack")

    def _next(self, at: int) -> tuple[Part | None, int] | None:
        """What stands there and where it ends; None while it is not whole."""
        left = len(self._waiting) - at
        if not self._begun:
            return self._magic(at, left)
        if self.done or left == 0:
            return None
        return self._chunk(at, left) if self._inside else self._head(at, left)

    def _magic(self, at: int, left: int) -> tuple[None, int] | None:
        found = bytes(self._waiting[at : at + len(MAGIC)])
        if not MAGIC.startswith(found):
            _refuse("it does not begin as a pack")
        if left < len(MAGIC):
            return None
        self._begun = True
        return None, at + len(MAGIC)

    def _head(self, at: int, left: int) -> tuple[Part | None, int] | None:
        kind = self._waiting[at]
        if kind == END[0]:
            self.done = True
            return None, at + 1
        if kind not in (PLAIN, PATCH):
            _refuse("an object of a pack begins with an unknown mark")
        need = 1 + _DIGEST * kind
        if left < need:
            return None
        names = bytes(self._waiting[at + 1 : at + need])
        base = names[_DIGEST:].hex() or None
        self._inside = True
        return Head(names[:_DIGEST].hex(), base), at + need

    def _chunk(self, at: int, left: int) -> tuple[Part, int] | None:
        if left < _LENGTH:
            return None
        size = int.from_bytes(self._waiting[at : at + _LENGTH], "big")
        if size > CHUNK_MAX:
            _refuse("a chunk of a pack is too large")
        if size == 0:
            self._inside = False
            return Tail(), at + _LENGTH
        if left < _LENGTH + size:
            return None
        start = at + _LENGTH
        return Chunk(bytes(self._waiting[start : start + size])), start + size


def _refuse(why: str) -> NoReturn:
    raise BadImage(why)
