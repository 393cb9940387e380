"""Calls to one other node over one connection, which is kept and made again when it breaks."""

import asyncio
import contextlib
import itertools
import logging
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Protocol, TypeVar

from qvdnode.model.errors import FarmError, Invalid, TimedOut, Unavailable
from qvdnode.model.ids import NodeId
from qvdnode.peer.calls import ATTACH, CallKind
from qvdnode.peer.frame_link import FrameLink
from qvdnode.peer.limits import LinkLimits
from qvdnode.peer.ports import PeerDialer, Purpose, away_text
from qvdnode.runtime.clock import Clock
from qvdnode.runtime.supervise import contained
from qvdnode.runtime.time_limit import TimeLimit
from qvdnode.telemetry.metrics import Gauge
from qvdnode.wire.peer_errors import CANCELLED, UNKNOWN_CALL, error_of
from qvdnode.wire.peer_frames import (
    Answer,
    Call,
    Cancel,
    Failure,
    Frame,
    FrameError,
    FrameTooLarge,
    Notice,
)
from qvdnode.wire.typed_values import BadValue, from_plain, to_plain

log = logging.getLogger(__name__)

LINKS = Gauge("qvdnode_peer_links", "Other nodes that this one can ask")

Arguments = TypeVar("Arguments")
Value = TypeVar("Value")


class ClientOwner(Protocol):
    """Who hears what the other node says by itself. The loop calls it; it must not block."""

    def connected(self) -> Notice:
        """A connection has begun: returns what is said first on it."""
        ...

    def noticed(self, notice: Notice) -> None:
        """The other node sent a notice; raises BadValue when it makes no sense."""
        ...


class LinkLostError(Unavailable):
    """The connection ended before the answer came: what was asked may be done or not."""


@dataclass(slots=True)
class _Pending:
    kind: CallKind[Any, Any]
    answer: asyncio.Future[Any]
    unwanted: Callable[[Any], None]
    """Takes an answer that comes when nobody waits for it any more."""


class CallsClient:
    """`run` must be running; the calls of one node to another."""

    def __init__(
        self,
        node_id: NodeId,
        dialer: PeerDialer,
        owner: ClientOwner,
        clock: Clock,
        limits: LinkLimits,
        rng: random.Random,
    ) -> None:
        self.node_id: Final = node_id
        self._dialer = dialer
        self._owner = owner
        self._clock = clock
        self._limits = limits
        self._rng = rng
        self._link: FrameLink | None = None
        self._problem: str | None = None
        """Why there is no connection; None while there is one or it is being made anew."""
        self._lost_s: float | None = None
        """When the last connection ended; None before the first one."""
        self._changed = asyncio.Event()
        self._is_up = asyncio.Event()
        """Set by whoever knows that the node can be reached again."""
        self._pending: dict[int, _Pending] = {}
        self._ids = itertools.count(1)

    @property
    def problem(self) -> str | None:
        """Why the node cannot be asked now; None when it can."""
        if self._link is not None:
            return None
        return self._problem or "it is being connected to"

    async def run(self) -> None:
        """Keep a connection to the node, until cancelled."""
        pause_s = 0.0
        try:
            while True:
                await self._pause(pause_s)
                with contained("peer_link_failed", node=self.node_id):
                    pause_s = 0.0 if await self._connection() else self._next_pause_s(pause_s)
        finally:
            self._settle(None, "this node has no link to it any more")

    def redial(self) -> None:
        """Try at once: the node is up again."""
        self._is_up.set()

    async def call(
        self,
        kind: CallKind[Arguments, Value],
        arguments: Arguments,
        unwanted: Callable[[Value], None] = lambda _value: None,
        *,
        patience_s: float = 0.0,
    ) -> Value:
        """The other node's answer; raises what it raised there, or Unavailable.

        Cancelling the call cancels it there. `unwanted` is given an answer that comes all the same.
        A node whose connection ended less than `patience_s` ago is waited for until then.
        """
        link = await self._connected(patience_s)
        answer: asyncio.Future[Value] = asyncio.get_running_loop().create_future()
        call_id = next(self._ids)
        try:
            link.send(Call(call_id, kind.name, to_plain(arguments)))
        except FrameTooLarge as error:
            raise Invalid(f"This is too much to ask of another node: {error}.") from error
        # After the send: a call that is too large was never made. Nothing is awaited in between, so
        # the answer cannot come first.
        self._pending[call_id] = _Pending(kind, answer, unwanted)
        try:
            async with TimeLimit(kind.limit_s):
                # The call is made already, so its answer may come while the link is still full.
                await link.room()
                return await answer
        except (TimeoutError, asyncio.CancelledError) as error:
            self._abandon(call_id, answer, unwanted)
            if isinstance(error, TimeoutError):
                raise self._late(kind) from error
            raise

    def notice(self, notice: Notice) -> None:
        """Send a notice; ignored while there is no connection."""
        if self._link is not None:
            self._link.send(notice)

    async def _connection(self) -> bool:
        """Make a connection and use it to its end; returns whether it lasted for a while."""
        try:
            connection = await self._dialer.dial(self.node_id, Purpose.CALLS)
        except Unavailable as error:
            before, after = away_text(self.node_id, "|").split("|")
            self._settle(None, str(error).removeprefix(before).removesuffix(after))
            return False
        begun_s = self._clock.monotonic_s()
        link = FrameLink(connection, self._take, self._clock, self._limits, pings=True)
        link.send(self._owner.connected())
        self._settle(link, None)
        log.info("peer_linked", extra={"node": self.node_id})
        LINKS.inc()
        try:
            problem = await link.run()
        finally:
            LINKS.dec()
            self._lost_s = self._clock.monotonic_s()
            lasted = self._lost_s - begun_s > self._limits.silence_limit_s
            # Calls wait for the attempt that follows at once, and not for a later one.
            self._settle(None, None if lasted else link.problem)
            self._fail_pending(link.problem)
        log.warning("peer_link_lost", extra={"node": self.node_id, "because": problem})
        return lasted

    def _next_pause_s(self, before_s: float) -> float:
        pause_s = max(2 * before_s, self._limits.redial_first_s)
        return min(pause_s, self._limits.redial_most_s) * self._rng.uniform(0.75, 1.0)

    async def _pause(self, pause_s: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with TimeLimit(pause_s):
                await self._is_up.wait()
        self._is_up.clear()

    async def _connected(self, patience_s: float) -> FrameLink:
        """The connection; waits for one that is being made, but not for a node that is away."""
        while self._link is None:
            if self._problem is not None and not self._left_s(patience_s):
                raise self._unavailable(self._problem)
            self._changed.clear()
            limit_s = None if self._problem is None else self._left_s(patience_s)
            with contextlib.suppress(TimeoutError):
                async with TimeLimit(limit_s):
                    await self._changed.wait()
        return self._link

    def _left_s(self, patience_s: float) -> float:
        """How much longer to wait for a node that has gone."""
        if self._lost_s is None:
            return 0.0
        return max(0.0, self._lost_s + patience_s - self._clock.monotonic_s())

    def _settle(self, link: FrameLink | None, problem: str | None) -> None:
        self._link, self._problem = link, problem
        self._changed.set()

    def _take(self, frame: Frame) -> None:
        try:
            match frame:
                case Answer(call_id, value):
                    pending = self._pending.get(call_id)
                    if pending is not None:
                        # Decoded before it is removed: an answer that cannot be read ends the link,
                        # and the end of the link then fails this call like all others.
                        answer = from_plain(pending.kind.value, value)
                        del self._pending[call_id]
                        _give(pending, answer)
                case Failure(call_id):
                    pending = self._pending.pop(call_id, None)
                    if pending is not None and not pending.answer.done():
                        pending.answer.set_exception(self._error_of(frame, pending.kind))
                case Notice():
                    self._owner.noticed(frame)
                case _:
                    raise FrameError("only nodes that dial make calls")
        except BadValue as error:
            raise FrameError(str(error)) from error

    def _error_of(self, failure: Failure, kind: CallKind[Any, Any]) -> FarmError:
        if failure.code == UNKNOWN_CALL:
            return Unavailable(
                f"Node {self.node_id} runs an older version that does not know the call"
                f" {kind.name!r}; upgrade qvdnode there."
            )
        if failure.code == CANCELLED:
            return self._unavailable("it is stopping")
        return error_of(failure)

    def _abandon(
        self, call_id: int, answer: asyncio.Future[Value], unwanted: Callable[[Value], None]
    ) -> None:
        if call_id in self._pending:
            # The entry stays: if the answer is on its way, `unwanted` must get it, to undo what the
            # call did there. An attach that nobody waits for would keep its seat.
            answer.cancel()
            if self._link is not None:
                self._link.send(Cancel(call_id))
        elif answer.done() and not answer.cancelled() and answer.exception() is None:
            unwanted(answer.result())  # it came while the call was being cancelled

    def _fail_pending(self, problem: str) -> None:
        pending, self._pending = self._pending, {}
        for one in pending.values():
            if not one.answer.done():
                one.answer.set_exception(LinkLostError(str(self._unavailable(problem))))

    def _unavailable(self, problem: str) -> Unavailable:
        return Unavailable(f"Node {self.node_id} cannot be reached now: {problem}.")

    def _late(self, kind: CallKind[Any, Any]) -> FarmError:
        text = f"Node {self.node_id} did not answer {kind.name!r} in {kind.limit_s:g} seconds."
        return TimedOut(text) if kind is ATTACH else Unavailable(text)


def _give(pending: _Pending, value: object) -> None:
    if pending.answer.done():  # cancelled
        pending.unwanted(value)
    else:
        pending.answer.set_result(value)
