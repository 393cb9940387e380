"""The objects of one commit as one stream of bytes, as nodes send them to each other; pure.

Both ends know the manifest, so they agree on an order of its objects and on their sizes. The end
that lacks objects says which with a bit for each. For each of these the stream has one byte: HERE,
and the content follows, or MISSING, and nothing does.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from qvdnode.model.errors import BadImage

HERE: Final = b"\x01"
MISSING: Final = b"\x00"

Sized = tuple[str, int]
"""Digest and size of an object."""


def in_order(sizes: Iterable[Sized]) -> list[Sized]:
    """The objects of a manifest in the order of a stream."""
    return sorted(sizes)


def bits_of(objects: Sequence[Sized], wanted: Collection[str]) -> bytes:
    """A bit for each object, set for those that are wanted."""
    bits = bytearray((len(objects) + 7) // 8)
    for number, (digest, _) in enumerate(objects):
        if digest in wanted:
            bits[number // 8] |= 1 << number % 8
    return bytes(bits)


def chosen(objects: Sequence[Sized], bits: bytes) -> list[Sized]:
    """The objects whose bit is set; raises BadImage when the bits are of another manifest."""
    if len(bits) != (len(objects) + 7) // 8:
        raise BadImage("the wanted objects are those of another manifest")
    return [one for number, one in enumerate(objects) if bits[number // 8] >> number % 8 & 1]


@dataclass(frozen=True, slots=True)
class Piece:
    """Some content of an object, maybe none."""

    digest: str
    content: memoryview
    last: bool
    """Whether it is the object's end."""


@dataclass(frozen=True, slots=True)
class Missing:
    """The sender does not have that object."""

    digest: str


class BundleReader:
    """Reads one stream, in pieces as they come."""

    def __init__(self, objects: Sequence[Sized]) -> None:
        """`objects` are those that were asked for, in order."""
        self._waiting = iter(objects)
        self._next = next(self._waiting, None)
        self._left: int | None = None
        """Bytes of the object that is being read; None before its first byte."""

    @property
    def done(self) -> bool:
        """Whether the stream is whole."""
        return self._next is None

    def feed(self, data: bytes) -> Iterator[Piece | Missing]:
        """What these bytes hold; raises BadImage for what is no such stream."""
        view, at = memoryview(data), 0
        while at < len(view):
            if self._next is None:
                raise BadImage("more is sent than was asked for")
            digest, size = self._next
            if self._left is None:
                mark, at = bytes(view[at : at + 1]), at + 1
                if mark == MISSING:
                    self._next = next(self._waiting, None)
                    yield Missing(digest)
                    continue
                if mark != HERE:
                    raise BadImage("an object begins with an unknown mark")
                self._left = size
            taken = view[at : at + self._left]
            at += len(taken)
            self._left -= len(taken)
            last = self._left == 0
            if last:
                self._next, self._left = next(self._waiting, None), None
            if last or len(taken):
                yield Piece(digest, taken, last)
