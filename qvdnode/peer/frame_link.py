"""Frames over one connection to another node, with an eye on whether that node is still there.

Bytes become frames as they come, without a task of its own. A node that is silent, never ends a
frame, sends what is none, or does not take what it is sent is dropped with a log line.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import Final

from qvdnode.peer.limits import LinkLimits
from qvdnode.peer.ports import PeerConnection
from qvdnode.runtime.clock import Clock
from qvdnode.wire.peer_frames import Frame, FrameError, FrameReader, Ping, Pong, encode

log = logging.getLogger(__name__)

LATE_S: Final = 1.0
"""A check that comes later than this says that this node was slow, and accuses nobody."""
ENDED: Final = "the other node closed the connection"


class FrameLink:
    """Satisfies tls.stream.StreamOwner. `on_frame` gets each frame but pings, and must not raise
    anything but FrameError, which ends the connection."""

    def __init__(
        self,
        connection: PeerConnection,
        on_frame: Callable[[Frame], None],
        clock: Clock,
        limits: LinkLimits,
        *,
        pings: bool,
    ) -> None:
        """`pings` is set at the end that dialled: one that is asked needs not ask."""
        self.node_id: Final = connection.node_id
        self.problem = ""
        """Why the connection ended; empty while it lasts."""
        self._stream = connection.pipe.stream
        self._pipe = connection.pipe
        self._on_frame = on_frame
        self._clock = clock
        self._limits = limits
        self._pings = pings
        self._reader = FrameReader()
        self._heard_s = self._checked_s = clock.monotonic_s()
        self._frame_began_s: float | None = None
        self._number = 0
        self._full = False
        self._room = asyncio.Event()
        self._over = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None

    async def run(self) -> str:
        """Exchange frames until the connection is over; returns why. It is closed then."""
        self._pipe.release(self)
        self._check_later()
        try:
            await self._over.wait()
        finally:
            self.end("this node ended the connection")
        return self.problem

    def send(self, frame: Frame) -> None:
        """Send a frame; ignored once the connection is over. Raises FrameTooLarge."""
        data = encode(frame)
        if self.problem:
            return
        self._stream.write(data)
        # Those who send are callbacks of the loop and cannot wait. A node that goes on but does not
        # read would make this queue grow without end, so it is dropped.
        if self._stream.waiting_bytes() > self._limits.waiting_max_bytes:
            self._drop("it does not take what it is sent")

    async def room(self) -> None:
        """Return once the other node has taken most of what it was sent, or the link is over."""
        while self._full and not self.problem:
            self._room.clear()
            await self._room.wait()

    def end(self, problem: str) -> None:
        """Close the connection for that reason; safe to repeat."""
        if self.problem:
            return
        self.problem = problem
        if self._timer is not None:
            self._timer.cancel()
        # Not closed in order: that would wait for a node which may be gone.
        self._stream.abort()
        self._room.set()
        self._over.set()

    def stream_opened(self) -> None:
        """Never called: the hello is over."""

    def stream_moved(self, _before: str) -> None:
        """Never called: no load balancer stands between nodes."""

    def stream_ready(self) -> None:
        """Never called: the hello is over."""

    def stream_data(self, data: bytes) -> None:
        """Bytes of frames."""
        if self.problem:
            return
        # Every byte shows that the node lives, also one in the middle of a large frame. How long a
        # single frame may take has a limit of its own.
        now_s = self._heard_s = self._clock.monotonic_s()
        try:
            for frame in self._reader.feed(data):
                self._frame_began_s = None
                self._take(frame)
                # What took the frame may have ended the link: the frames behind it are for nobody.
                if self._over.is_set():
                    return
        except FrameError as error:
            self._drop(f"it sent what is not a frame: {error}")
        if not self._reader.mid_frame:
            self._frame_began_s = None
        elif self._frame_began_s is None:
            self._frame_began_s = now_s

    def stream_eof(self) -> None:
        """The other node has finished: neither end goes on alone."""
        self.end(ENDED)

    def stream_lost(self) -> None:
        """The connection is gone."""
        self.end(self._stream.broken or ENDED)

    def stream_full(self) -> None:
        """The other node is slow to take what it is sent."""
        self._full = True

    def stream_drained(self) -> None:
        """It has caught up."""
        self._full = False
        self._room.set()

    def _take(self, frame: Frame) -> None:
        match frame:
            case Ping(number):
                self.send(Pong(number))
            case Pong():
                pass
            case _:
                self._on_frame(frame)

    def _check_later(self) -> None:
        if not self.problem:
            every_s = self._limits.ping_every_s
            self._timer = asyncio.get_running_loop().call_later(every_s, self._check)

    def _check(self) -> None:
        now_s = self._clock.monotonic_s()
        # The loop of this node was blocked, or its host was suspended. What the other node sent in
        # the meantime is not read yet, so its silence proves nothing: both times begin anew.
        if now_s - self._checked_s > self._limits.ping_every_s + LATE_S:
            self._heard_s = now_s
            if self._frame_began_s is not None:
                self._frame_began_s = now_s
        self._checked_s = now_s
        began_s = self._frame_began_s
        if now_s - self._heard_s > self._limits.silence_limit_s:
            self._drop(f"it was silent for {self._limits.silence_limit_s:g} seconds")
        elif began_s is not None and now_s - began_s > self._limits.frame_limit_s:
            self._drop(f"it did not end a frame in {self._limits.frame_limit_s:g} seconds")
        elif self._pings:
            self._number += 1
            self.send(Ping(self._number))
        self._check_later()

    def _drop(self, problem: str) -> None:
        if not self.problem:
            log.warning("peer_dropped", extra={"node": self.node_id, "because": problem})
        self.end(problem)
