"""Sends the objects of a commit as one stream (core/bundle.py). Everything blocks."""

from collections.abc import Iterator
from typing import Final

from qvdnode.image.core import commit as commits
from qvdnode.image.core import manifest as manifests
from qvdnode.image.core.bundle import HERE, MISSING, Sized, chosen, in_order
from qvdnode.image.store.repository import Repository
from qvdnode.model.errors import BadImage, HostFailed

CHUNK: Final = 512 * 1024


class BundleSource:
    """One commit of a store, to be sent."""

    def __init__(self, store: Repository, name: str) -> None:
        """Raises NotFound, BadImage, HostFailed when the store has not the whole of it."""
        self._store = store
        commit = store.commit(name)
        self.raw = commits.encode(commit)
        """The commit's text."""
        text = store.manifest(commit.manifest)
        try:
            self.packed = store.places.manifest(commit.manifest).read_bytes()
            """Its manifest, as the store keeps it."""
        except OSError as error:
            raise HostFailed(f"the manifest cannot be read: {error.strerror}") from error
        self._objects = in_order(manifests.digests(manifests.decode(text).values()).items())

    def chunks(self, bits: bytes) -> Iterator[bytes]:
        """The stream of the objects whose bits are set; raises BadImage."""
        waiting = bytearray()
        for one in chosen(self._objects, bits):
            for part in self._parts(one):
                waiting += part
                if len(waiting) >= CHUNK:
                    yield bytes(waiting)
                    waiting.clear()
        if waiting:
            yield bytes(waiting)

    def _parts(self, one: Sized) -> Iterator[bytes]:
        digest, size = one
        try:
            stream = self._store.places.object(digest).open("rb", buffering=0)
        except OSError:
            yield MISSING
            return
        with stream:
            yield HERE
            left = size
            while left:
                part = stream.read(min(CHUNK, left))
                if not part:
                    raise BadImage(f"the object {digest} is shorter than its commit says")
                left -= len(part)
                yield part
