"""Sends commits of images to other nodes: one connection and one stream for each pull."""

import asyncio
import logging
from collections.abc import Iterator
from typing import Any, Final

from qvdnode.image.store.bundle_source import BundleSource
from qvdnode.image.store.repository import Repository
from qvdnode.model.errors import FarmError, Invalid, Unavailable
from qvdnode.peer.calls import CallKind
from qvdnode.peer.guest_stream import read_frame
from qvdnode.peer.image_calls import (
    BUSY,
    PULL_COMMIT,
    PULL_OBJECTS,
    CommitParts,
    PullCommit,
)
from qvdnode.peer.limits import LinkLimits
from qvdnode.peer.ports import PeerConnection
from qvdnode.runtime.time_limit import TimeLimit
from qvdnode.telemetry.metrics import Counter
from qvdnode.tls.stream_pipe import StreamPipe
from qvdnode.wire.peer_errors import failure_of
from qvdnode.wire.peer_frames import Answer, Call, FrameError, encode
from qvdnode.wire.typed_values import BadValue, from_plain, to_plain

log = logging.getLogger(__name__)

SENT = Counter("qvdnode_image_bytes_sent", "Content of images that was sent to other nodes")
AT_ONCE: Final = 4
"""More would slow each other down; who is refused asks another node, or again."""
SECOND_CALL_LIMIT_S: Final = 120.0
"""The other node compares the manifest with its store meanwhile."""


class ImageService:
    """Satisfies peer.ports.PeerService for images."""

    def __init__(self, store: Repository, limits: LinkLimits) -> None:
        self._store = store
        self._limits = limits
        self._open = 0

    async def serve(self, connection: PeerConnection) -> None:
        """Send one commit; returns when the connection is over, closed."""
        self._open += 1
        try:
            await self._serve(connection.pipe, connection.node_id)
        except (TimeoutError, ConnectionError, EOFError, FrameError) as error:
            because = str(error) or "it said nothing in time"
            log.info("image_not_sent", extra={"node": connection.node_id, "because": because})
        finally:
            self._open -= 1
            connection.pipe.abort()

    async def _serve(self, pipe: StreamPipe, node_id: int) -> None:
        async with TimeLimit(self._limits.opening_limit_s):
            first = await _call(pipe)
        try:
            if self._open > AT_ONCE:
                raise Unavailable(BUSY)
            asked: PullCommit = _arguments(first, PULL_COMMIT)
            source = await asyncio.to_thread(BundleSource, self._store, asked.commit)
        except FarmError as error:
            await self._refuse(pipe, first, error)
            return
        pipe.write(encode(Answer(first.id, to_plain(CommitParts(source.raw, len(source.packed))))))
        await self._send(pipe, source.packed)
        try:
            async with TimeLimit(SECOND_CALL_LIMIT_S):
                second = await _call(pipe)
        except EOFError:
            return  # the other node has all objects already
        try:
            chunks = source.chunks(_arguments(second, PULL_OBJECTS).wanted)
            following = await asyncio.to_thread(next, chunks, None)
        except FarmError as error:
            await self._refuse(pipe, second, error)
            return
        pipe.write(encode(Answer(second.id, None)))
        sent = await self._stream(pipe, chunks, following)
        pipe.close()
        await self._closed(pipe)
        log.info("image_sent", extra={"node": node_id, "commit": asked.commit, "bytes": sent})

    async def _stream(
        self, pipe: StreamPipe, chunks: Iterator[bytes], following: bytes | None
    ) -> int:
        sent = 0
        while following is not None:
            chunk = following
            # The next piece is read from the disk while this one is sent.
            _, following = await asyncio.gather(
                self._send(pipe, chunk), asyncio.to_thread(next, chunks, None)
            )
            sent += len(chunk)
            SENT.inc(len(chunk))
        return sent

    async def _send(self, pipe: StreamPipe, data: bytes) -> None:
        pipe.write(data)
        async with TimeLimit(self._limits.silence_limit_s * 6):
            await pipe.drain()

    async def _refuse(self, pipe: StreamPipe, call: Call, error: FarmError) -> None:
        pipe.write(encode(failure_of(call.id, error)))
        pipe.close()
        await self._closed(pipe)

    async def _closed(self, pipe: StreamPipe) -> None:
        async with TimeLimit(self._limits.silence_limit_s * 6):
            await pipe.closed()


async def _call(pipe: StreamPipe) -> Call:
    frame = await read_frame(pipe)
    if not isinstance(frame, Call):
        raise FrameError("it sent something that is not a call")
    return frame


def _arguments(call: Call, kind: CallKind[Any, Any]) -> Any:  # noqa: ANN401 - of the kind
    if call.name != kind.name:
        raise Invalid(f"{kind.name!r} is expected here, not {call.name[:40]!r}.")
    try:
        return from_plain(kind.arguments, call.arguments)
    except BadValue as error:
        raise Invalid(f"{kind.name!r} cannot be read: {error}.") from error
