"""Fetches commits of images from other nodes: one connection and one stream for each pull."""

import asyncio
from typing import Any, Final

from qvdnode.image.core import manifest as manifests
from qvdnode.image.ports import PullProgress
from qvdnode.image.store.partial import PartialCommit
from qvdnode.image.store.repository import Repository
from qvdnode.model.errors import BadImage, Unavailable
from qvdnode.model.ids import NodeId
from qvdnode.peer.calls import CallKind
from qvdnode.peer.guest_stream import read_frame
from qvdnode.peer.image_calls import PULL_COMMIT, PULL_OBJECTS, PullCommit, PullObjects
from qvdnode.peer.limits import LinkLimits
from qvdnode.peer.ports import PeerDialer, Purpose
from qvdnode.runtime.time_limit import TimeLimit
from qvdnode.telemetry.metrics import Counter
from qvdnode.tls.stream import TlsStream
from qvdnode.tls.stream_pipe import StreamPipe
from qvdnode.wire.peer_errors import error_of
from qvdnode.wire.peer_frames import Answer, Call, Failure, FrameError, encode
from qvdnode.wire.typed_values import BadValue, from_plain, to_plain

RECEIVED = Counter("qvdnode_image_bytes_received", "Content of images that came from other nodes")
PIECE_BYTES: Final = 1 << 20
WAITING_MAX_BYTES: Final = 8 << 20
"""More that is received and not written yet, and the other node is not read from."""
ANSWER_LIMIT_S: Final = 60.0
"""The other node may have to read a large manifest first."""


class PeerCommits:
    """Satisfies image.ports.CommitSource with the other nodes of the farm."""

    def __init__(self, dialer: PeerDialer, limits: LinkLimits) -> None:
        self._dialer = dialer
        self._limits = limits

    async def pull(
        self, node_id: NodeId, store: Repository, commit: str, progress: PullProgress
    ) -> PartialCommit:
        """As CommitSource."""
        pipe = (await self._dialer.dial(node_id, Purpose.IMAGES)).pipe
        try:
            partial = await self._parts(pipe, store, commit)
            if partial.missing():
                await self._objects(pipe, partial, progress)
        except (TimeoutError, ConnectionError, EOFError, FrameError, BadValue) as error:
            because = str(error) or "it sent nothing for too long"
            raise Unavailable(f"Node {node_id} did not send the image: {because}.") from error
        finally:
            pipe.abort()
        return partial

    async def _parts(self, pipe: StreamPipe, store: Repository, commit: str) -> PartialCommit:
        parts = await _ask(pipe, 1, PULL_COMMIT, PullCommit(commit))
        if not 0 < parts.packed_bytes <= manifests.MANIFEST_MAX:
            raise BadImage("the other node announces a manifest of an impossible size")
        packed = bytearray()
        while (left := parts.packed_bytes - len(packed)) > 0:
            async with TimeLimit(self._limits.silence_limit_s):
                packed += await pipe.read_exactly(min(left, PIECE_BYTES))
        return await asyncio.to_thread(PartialCommit, store, commit, parts.body, bytes(packed))

    async def _objects(
        self, pipe: StreamPipe, partial: PartialCommit, progress: PullProgress
    ) -> None:
        total = sum(size for _, size in partial.missing())
        progress.begin(total)
        bits = await asyncio.to_thread(partial.ask)
        await _ask(pipe, 2, PULL_OBJECTS, PullObjects(bits))
        inflow = _Inflow(pipe.stream)
        pipe.release(inflow)
        try:
            while not partial.streamed:
                async with TimeLimit(self._limits.silence_limit_s * 2):
                    batch = await inflow.batch()
                await asyncio.to_thread(partial.take, batch)
                RECEIVED.inc(len(batch))
                progress.step(partial.received_bytes)
        finally:
            await asyncio.to_thread(partial.close)


async def _ask(pipe: StreamPipe, number: int, kind: CallKind[Any, Any], asked: object) -> Any:  # noqa: ANN401 - of the kind
    pipe.write(encode(Call(number, kind.name, to_plain(asked))))
    async with TimeLimit(ANSWER_LIMIT_S):
        answer = await read_frame(pipe)
    if isinstance(answer, Failure):
        raise error_of(answer)
    if not isinstance(answer, Answer):
        raise FrameError("it sent something that is not an answer")
    return from_plain(kind.value, answer.value)


class _Inflow:
    """Collects what comes. Satisfies tls.stream.StreamOwner."""

    def __init__(self, stream: TlsStream) -> None:
        self._stream = stream
        self._parts: list[bytes] = []
        self._waiting_bytes = 0
        self._ended = False
        self._wake = asyncio.Event()
        self._paused = False

    async def batch(self) -> bytes:
        """What has come, once there is something; raises EOFError after the end."""
        while not self._parts and not self._ended:
            self._wake.clear()
            await self._wake.wait()
        if not self._parts:
            raise EOFError("it broke off")
        batch, self._parts, self._waiting_bytes = b"".join(self._parts), [], 0
        if self._paused:
            self._paused = False
            self._stream.resume_reading()
        return batch

    def stream_data(self, data: bytes) -> None:
        """As StreamOwner."""
        self._parts.append(data)
        self._waiting_bytes += len(data)
        if self._waiting_bytes > WAITING_MAX_BYTES and not self._paused:
            self._paused = True
            self._stream.pause_reading()
        self._wake.set()

    def stream_eof(self) -> None:
        """As StreamOwner."""
        self._ended = True
        self._wake.set()

    def stream_lost(self) -> None:
        """As StreamOwner."""
        self._ended = True
        self._wake.set()

    def stream_full(self) -> None:
        """As StreamOwner."""

    def stream_drained(self) -> None:
        """As StreamOwner."""

    def stream_opened(self) -> None:
        """Never called: the hello is over."""

    def stream_moved(self, before: str) -> None:
        """Never called: no load balancer stands between nodes."""

    def stream_ready(self) -> None:
        """Never called: the hello is over."""
