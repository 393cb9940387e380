"""Gives a commit of a store as a tar. Everything blocks."""

from collections.abc import Iterator
from typing import Final

from qvdnode.image.core.manifest import Kind, Node, Tree
from qvdnode.image.store.repository import Repository
from qvdnode.image.tar_writing import END, whole
from qvdnode.model.errors import BadImage

CHUNK: Final = 256 * 1024


def tar_of_commit(store: Repository, commit: str) -> Iterator[bytes]:
    """The tar of a commit's tree in pieces; raises NotFound, BadImage, also on the way."""
    tree = store.tree(commit)  # before the first piece, so that the caller hears of it
    return _pieces(store, tree)


def _pieces(store: Repository, tree: Tree) -> Iterator[bytes]:
    waiting = bytearray()
    for path, node in tree.items():
        for piece in whole(path, node, _content(store, node)):
            waiting += piece
            if len(waiting) >= CHUNK:
                yield bytes(waiting)
                waiting.clear()
    yield bytes(waiting) + END


def _content(store: Repository, node: Node) -> Iterator[bytes]:
    if node.kind == Kind.INLINE:
        yield node.payload
        return
    digest, left = node.payload.decode(), node.size
    try:
        with store.places.object(digest).open("rb", buffering=0) as stream:
            while left and (piece := stream.read(min(CHUNK, left))):
                left -= len(piece)
                yield piece
    except OSError as error:
        raise BadImage(f"the object {digest} cannot be read: {error.strerror}") from error
    if left:
        raise BadImage(f"the object {digest} is shorter than its commit says")
