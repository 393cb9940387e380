"""What other nodes ask of this one's desktops.

Every call goes to the fleet of this node and never to a third one: whoever asks has read which node
runs the desktop, and is told by a Conflict when that is not so any more.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from qvdnode.model.errors import FarmError, Invalid, Unavailable
from qvdnode.model.ids import NodeId
from qvdnode.model.seat import Evicted, Seat, Viewer, ViewerEvent
from qvdnode.peer import calls
from qvdnode.peer.calls import (
    Attach,
    CallKind,
    CancelUpload,
    CommitChanges,
    HeldSeats,
    ListFiles,
    Nothing,
    OfVm,
    ReadFile,
    SeatKey,
    Start,
    TypeText,
    UploadPart,
    UseConsole,
    key_of,
)
from qvdnode.peer.frame_link import FrameLink
from qvdnode.peer.given_seats import GivenSeats
from qvdnode.peer.limits import LinkLimits
from qvdnode.peer.ports import PeerConnection
from qvdnode.runtime.clock import Clock
from qvdnode.runtime.supervise import Supervisor, contained
from qvdnode.session.ports import DesktopHost
from qvdnode.wire.peer_errors import CANCELLED, UNKNOWN_CALL, failure_of
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

Work = Callable[[Any], Awaitable[Any]]

TOO_MANY = Unavailable("This node is asked too much at once; try again soon.")
BROKEN = Unavailable("The node that runs the desktop made a mistake; its log says which.")


class CallsService:
    """Satisfies peer.ports.PeerService for calls."""

    def __init__(
        self,
        host: DesktopHost,
        seats: GivenSeats,
        clock: Clock,
        limits: LinkLimits,
        linked: Callable[[NodeId], None] = lambda _node_id: None,
    ) -> None:
        """`host` is this node's own. `linked` is told of each node that has connected."""
        self._linked = linked
        self._stopping = False
        self._open = asyncio.Event()
        self._open.set()
        self._host = host
        self._seats = seats
        self._clock = clock
        self._limits = limits
        self._links: dict[NodeId, FrameLink] = {}
        self.links: Final[Mapping[NodeId, FrameLink]] = self._links
        """The connections that other nodes have made."""

    async def serve(self, connection: PeerConnection) -> None:
        """Answer the calls of one node; returns when the connection is over, closed."""
        node_id = connection.node_id
        if self._stopping:
            connection.pipe.abort()
            return
        self._linked(node_id)
        served = ServedCalls(
            connection, self._host, self._seats, self._clock, self._limits, self._open
        )
        older = self._links.get(node_id)
        if older is not None:
            older.end("the node made a newer connection")
        self._links[node_id] = served.link
        self._seats.linked(node_id)
        problem = "this node ended the connection"
        try:
            problem = await served.run()
        finally:
            if self._links.get(node_id) is served.link:
                del self._links[node_id]
                self._seats.unlinked(node_id)
            log.info("peer_calls_ended", extra={"node": node_id, "because": problem})

    def hold(self) -> None:
        """Let calls wait: this node has not adopted its guests yet."""
        self._open.clear()

    def release(self) -> None:
        """Carry them out from now on."""
        self._open.set()

    def stop(self) -> None:
        """This process ends: take no more calls, so that clients wait for the next one."""
        self._stopping = True
        for link in list(self._links.values()):
            link.end("this node is stopping")

    def tell(self, node_id: NodeId, event: ViewerEvent) -> None:
        """Send an event to the node of its viewer, at once; dropped if there is no connection."""
        link = self._links.get(node_id)
        if link is not None:
            name = calls.EVICTED if isinstance(event, Evicted) else calls.PROGRESSED
            link.send(Notice(name, to_plain(event)))
        if isinstance(event, Evicted):
            self._seats.evicted(event.viewer, linked=link is not None)


class ServedCalls:
    """The calls of one node over one connection."""

    def __init__(
        self,
        connection: PeerConnection,
        host: DesktopHost,
        seats: GivenSeats,
        clock: Clock,
        limits: LinkLimits,
        is_open: asyncio.Event,
    ) -> None:
        """Calls wait for `is_open`."""
        self._open = is_open
        self.link = FrameLink(connection, self._take, clock, limits, pings=False)
        self._node_id = connection.node_id
        self._host = host
        self._seats = seats
        self._calls_max = limits.calls_max
        self._tasks = Supervisor(f"peer-{connection.node_id}")
        self._running: dict[int, asyncio.Task[None]] = {}
        self._works: dict[str, tuple[CallKind[Any, Any], Work]] = {
            kind.name: (kind, work)
            for kind, work in (
                (calls.ATTACH, self._attach),
                (calls.START, self._start),
                (calls.STOP, self._stop),
                (calls.DISCONNECT, self._disconnect),
                (calls.STATUS, self._status),
                (calls.STATUSES, self._statuses),
                (calls.MEMORY, self._memory),
                (calls.TYPE_TEXT, self._type_text),
                (calls.CONSOLE, self._console),
                (calls.COMMIT, self._commit),
                (calls.LIST_FILES, self._list_files),
                (calls.READ_FILE, self._read_file),
                (calls.UPLOAD, self._upload),
                (calls.CANCEL_UPLOAD, self._cancel_upload),
                (calls.LOG_TAIL, self._log_tail),
                (calls.PAST_STARTS, self._past_starts),
            )
        }

    async def run(self) -> str:
        """Answer until the connection is over, then cancel what still runs; returns why."""
        async with self._tasks:
            return await self.link.run()

    def _take(self, frame: Frame) -> None:
        match frame:
            case Call():
                self._begin(frame)
            case Cancel(call_id):
                if call_id in self._running:
                    self._running[call_id].cancel()
            case Notice():
                self._note(frame)
            case _:
                raise FrameError("an answer to what was not asked")

    def _begin(self, call: Call) -> None:
        if call.id in self._running:
            raise FrameError("two calls of one id")
        if len(self._running) >= self._calls_max:
            self.link.send(failure_of(call.id, TOO_MANY))
            return
        task = self._tasks.isolated(f"{call.name}-{call.id}", self._answer(call))
        self._running[call.id] = task
        task.add_done_callback(lambda task: self._done(call.id, task))

    def _done(self, call_id: int, task: asyncio.Task[None]) -> None:
        del self._running[call_id]
        if task.cancelled():  # maybe before its first step
            self.link.send(Failure(call_id, CANCELLED, "The call was cancelled.", {}))

    def _note(self, notice: Notice) -> None:
        try:
            match notice.name:
                case calls.HELD:
                    held = from_plain(HeldSeats, notice.facts)
                    self._seats.keep(self._node_id, set(held.seats))
                case calls.DETACHED:
                    self._seats.take_back(self._node_id, from_plain(SeatKey, notice.facts))
                case _:
                    pass  # of a newer node
        except BadValue as error:
            raise FrameError(f"{notice.name}: {error}") from error

    async def _answer(self, call: Call) -> None:
        await self.link.room()
        frame: Frame = failure_of(call.id, BROKEN)
        value: object = None
        with contained("peer_call_failed", node=self._node_id, call=call.name):
            try:
                value = await self._outcome(call)
                frame = Answer(call.id, to_plain(value))
            except _UnknownCall:
                text = f"This node does not know the call {call.name!r}; upgrade qvdnode on it."
                frame = Failure(call.id, UNKNOWN_CALL, text, {})
            except FarmError as error:
                frame = failure_of(call.id, error)
        # From here to the end nothing waits: an answer that was made is sent.
        try:
            self.link.send(frame)
        except FrameTooLarge:
            self.link.send(failure_of(call.id, Unavailable("The answer is too large to be sent.")))
        if isinstance(value, Seat) and self.link.problem:
            self._seats.take_back(self._node_id, key_of(value))

    async def _outcome(self, call: Call) -> object:
        if call.name not in self._works:
            raise _UnknownCall
        kind, work = self._works[call.name]
        try:
            arguments = from_plain(kind.arguments, call.arguments)
        except BadValue as error:
            raise Invalid(f"The call {call.name!r} cannot be read: {error}.") from error
        await self._open.wait()
        value: object = await work(arguments)
        return value

    async def _attach(self, asked: Attach) -> Seat:
        self._check_viewer(asked.viewer)
        seat = await self._host.attach(asked.order, asked.params, asked.viewer)
        self._seats.give(self._node_id, asked.viewer, seat)
        return seat

    async def _start(self, asked: Start) -> None:
        if asked.viewer is not None:
            self._check_viewer(asked.viewer)
        await self._host.start(asked.order, asked.viewer)

    async def _stop(self, asked: OfVm) -> None:
        await self._host.stop(asked.vm_id)

    async def _disconnect(self, asked: OfVm) -> bool:
        return await self._host.disconnect(asked.vm_id)

    async def _status(self, asked: OfVm) -> object:
        return await self._host.status(asked.vm_id)

    async def _statuses(self, _asked: Nothing) -> object:
        return await self._host.statuses()

    async def _memory(self, asked: OfVm) -> object:
        return await self._host.memory(asked.vm_id)

    async def _type_text(self, asked: TypeText) -> None:
        await self._host.type_text(asked.vm_id, asked.text)

    async def _commit(self, asked: CommitChanges) -> object:
        return await self._host.commit(asked.vm_id, asked.wish)

    async def _list_files(self, asked: ListFiles) -> object:
        return await self._host.list_files(asked.vm_id, asked.path)

    async def _read_file(self, asked: ReadFile) -> object:
        return await self._host.read_file(asked.vm_id, asked.path, asked.offset, asked.length)

    async def _upload(self, asked: UploadPart) -> object:
        return await self._host.upload(asked.vm_id, asked.upload, asked.offset, asked.content)

    async def _console(self, asked: UseConsole) -> object:
        return await self._host.console(asked.vm_id, asked.wish)

    async def _cancel_upload(self, asked: CancelUpload) -> None:
        await self._host.cancel_upload(asked.vm_id, asked.upload)

    async def _log_tail(self, asked: OfVm) -> str:
        return await self._host.log_tail(asked.vm_id)

    async def _past_starts(self, asked: OfVm) -> object:
        return await self._host.past_starts(asked.vm_id)

    def _check_viewer(self, viewer: Viewer) -> None:
        if viewer.node_id != self._node_id:
            raise Invalid("A node can only ask for clients of its own.", field="viewer")


class _UnknownCall(Exception):
    """A newer node has calls that this one does not know."""
