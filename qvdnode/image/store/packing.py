"""Packs objects of a store (core/pack.py). Everything blocks."""

import hashlib
import os
import threading
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final

from qvdnode.host.zstd import PATCH_MAX, STEP, Packer
from qvdnode.image.core import pack
from qvdnode.image.core.delta import Step
from qvdnode.image.store.repository import Repository
from qvdnode.model.errors import BadImage

LINK_LEVEL: Final = 3
"""Of zstd, between nodes: as fast as a link."""
KEPT_LEVEL: Final = 12
"""For what stays in a registry."""
AHEAD: Final = 8
"""Objects that are packed while earlier ones are sent."""


class ObjectPacker:
    """Packs objects of a store, each checked by its digest, with all processors."""

    def __init__(self, store: Repository, level: int) -> None:
        self._store = store
        self._level = level
        self._own = threading.local()

    def pieces(self, steps: Iterable[Step]) -> Iterator[bytes]:
        """The pack of these objects; raises BadImage for one that is missing or damaged."""
        yield pack.MAGIC
        with ThreadPoolExecutor(os.cpu_count() or 1, thread_name_prefix="pack") as threads:
            waiting: deque[Future[list[bytes]]] = deque()
            try:
                for step in steps:
                    if step.size > PATCH_MAX:
                        yield from _emptied(waiting)
                        yield from self._large(step)
                        continue
                    waiting.append(threads.submit(self._whole, step))
                    if len(waiting) > AHEAD:
                        yield from waiting.popleft().result()
                yield from _emptied(waiting)
            finally:
                for one in waiting:
                    one.cancel()
        yield pack.END

    def _whole(self, step: Step) -> list[bytes]:
        content = self._content(step.digest)
        if len(content) != step.size or hashlib.sha256(content).hexdigest() != step.digest:
            raise _damaged(step.digest)
        base = b"" if step.base is None or step.base_size > PATCH_MAX else self._base(step.base)
        frame = self._packer().packed(content, base)
        return [pack.head(step.digest, step.base if base else None), *pack.chunks([frame])]

    def _large(self, step: Step) -> Iterator[bytes]:
        found = hashlib.sha256()
        yield pack.head(step.digest)
        yield from pack.chunks(self._packer().pieces(step.size, self._read(step.digest, found)))
        if found.hexdigest() != step.digest:
            raise _damaged(step.digest)

    def _read(self, digest: str, found: "hashlib._Hash") -> Iterator[bytes]:
        try:
            with self._store.places.object(digest).open("rb", buffering=0) as stream:
                while chunk := stream.read(STEP):
                    found.update(chunk)
                    yield chunk
        except OSError as error:
            raise BadImage(f"the object {digest} cannot be read: {error.strerror}") from error

    def _content(self, digest: str) -> bytes:
        return self._store.content(digest)

    def _base(self, digest: str) -> bytes:
        """What to make a patch on; nothing when it is gone, and the object goes whole."""
        try:
            return self._store.content(digest)
        except BadImage:
            return b""

    def _packer(self) -> Packer:
        """This thread's own: to make one costs as much as to pack a small object."""
        found: Packer | None = getattr(self._own, "packer", None)
        if found is None:
            found = self._own.packer = Packer(self._level)
        return found


def _emptied(waiting: "deque[Future[list[bytes]]]") -> Iterator[bytes]:
    while waiting:
        yield from waiting.popleft().result()


def _damaged(digest: str) -> BadImage:
    return BadImage(
        f"the object {digest} is damaged and is not sent: `qvdnode image verify` tells more"
    )
