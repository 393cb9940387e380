"""The desktops of another node: the port to a desktop's host, over calls."""

import logging
import random
from collections.abc import Callable, Sequence
from typing import Final

from qvdnode.model.console import ConsoleOutput, ConsoleWish
from qvdnode.model.display_params import DisplayParams
from qvdnode.model.farm import DesktopOrder
from qvdnode.model.guest import GuestMemory
from qvdnode.model.home_files import FileListing, FilePart, Upload, UploadState
from qvdnode.model.ids import NodeId, VmId
from qvdnode.model.image_commit import CommitRecord, CommitWish
from qvdnode.model.seat import Evicted, Progressed, Seat, Viewer, ViewerEvent
from qvdnode.peer import calls
from qvdnode.peer.calls import (
    Attach,
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
from qvdnode.peer.calls_client import CallsClient, LinkLostError
from qvdnode.peer.limits import LinkLimits
from qvdnode.peer.ports import PeerDialer
from qvdnode.peer.running_desktops import DesktopNews, Running, updated
from qvdnode.runtime.clock import Clock
from qvdnode.vm.core.start_record import StartRecord
from qvdnode.vm.status import GuestStatus
from qvdnode.wire.peer_frames import Notice
from qvdnode.wire.typed_values import from_plain, to_plain

log = logging.getLogger(__name__)

RESTART_S: Final = 15.0
"""A client whose desktop's node is restarted waits for it here, and does not ask again and again
with growing pauses."""


class RemoteHost:
    """Satisfies session.ports.DesktopHost for another node; `run` must be running."""

    def __init__(
        self,
        node_id: NodeId,
        dialer: PeerDialer,
        deliver: Callable[[ViewerEvent], None],
        clock: Clock,
        limits: LinkLimits,
        rng: random.Random,
    ) -> None:
        """`deliver` takes events for clients of this node."""
        self._client = CallsClient(node_id, dialer, self, clock, limits, rng)
        self._clock = clock
        self._deliver = deliver
        self._held: set[SeatKey] = set()
        """The seats that clients of this node have there."""
        self.running: Running = {}
        """The desktops that it runs, as it has told; the last of them while it is away."""

    async def run(self) -> None:
        """Keep a connection to the node, until cancelled."""
        await self._client.run()

    def redial(self) -> None:
        """Try at once: the node is up again."""
        self._client.redial()

    @property
    def problem(self) -> str | None:
        """Why the node cannot be asked now; None when it can."""
        return self._client.problem

    async def attach(self, order: DesktopOrder, params: DisplayParams, viewer: Viewer) -> Seat:
        """As DesktopHost."""
        arguments = Attach(order, params, viewer)
        until_s = self._clock.monotonic_s() + RESTART_S
        while True:
            try:
                seat = await self._client.call(
                    calls.ATTACH, arguments, unwanted=self._leave, patience_s=RESTART_S
                )
            except LinkLostError:  # a seat that was given is freed by the next connection
                if self._clock.monotonic_s() > until_s:
                    raise
            else:
                self._held.add(key_of(seat))
                return seat

    def detach(self, seat: Seat) -> None:
        """As DesktopHost. What cannot be said now is said by the next connection's HeldSeats."""
        if key_of(seat) in self._held:
            self._held.discard(key_of(seat))
            self._leave(seat)

    async def start(self, order: DesktopOrder, viewer: Viewer | None = None) -> None:
        """As DesktopHost."""
        await self._client.call(calls.START, Start(order, viewer))

    async def stop(self, vm_id: VmId) -> None:
        """As DesktopHost."""
        await self._client.call(calls.STOP, OfVm(vm_id))

    async def disconnect(self, vm_id: VmId) -> bool:
        """As DesktopHost."""
        return await self._client.call(calls.DISCONNECT, OfVm(vm_id))

    async def status(self, vm_id: VmId) -> GuestStatus | None:
        """As DesktopHost."""
        return await self._client.call(calls.STATUS, OfVm(vm_id))

    async def statuses(self) -> Sequence[GuestStatus]:
        """As DesktopHost."""
        return await self._client.call(calls.STATUSES, Nothing())

    async def memory(self, vm_id: VmId) -> GuestMemory | None:
        """As DesktopHost."""
        return await self._client.call(calls.MEMORY, OfVm(vm_id))

    async def type_text(self, vm_id: VmId, text: str) -> None:
        """As DesktopHost."""
        await self._client.call(calls.TYPE_TEXT, TypeText(vm_id, text))

    async def console(self, vm_id: VmId, wish: ConsoleWish) -> ConsoleOutput:
        """As DesktopHost."""
        return await self._client.call(calls.CONSOLE, UseConsole(vm_id, wish))

    async def commit(self, vm_id: VmId, wish: CommitWish) -> CommitRecord:
        """As DesktopHost."""
        return await self._client.call(calls.COMMIT, CommitChanges(vm_id, wish))

    async def list_files(self, vm_id: VmId, path: str) -> FileListing:
        """As DesktopHost."""
        return await self._client.call(calls.LIST_FILES, ListFiles(vm_id, path))

    async def read_file(self, vm_id: VmId, path: str, offset: int, length: int) -> FilePart:
        """As DesktopHost."""
        return await self._client.call(calls.READ_FILE, ReadFile(vm_id, path, offset, length))

    async def upload(self, vm_id: VmId, upload: Upload, offset: int, content: bytes) -> UploadState:
        """As DesktopHost."""
        return await self._client.call(calls.UPLOAD, UploadPart(vm_id, upload, offset, content))

    async def cancel_upload(self, vm_id: VmId, upload: Upload) -> None:
        """As DesktopHost."""
        await self._client.call(calls.CANCEL_UPLOAD, CancelUpload(vm_id, upload))

    async def log_tail(self, vm_id: VmId) -> str:
        """As DesktopHost."""
        return await self._client.call(calls.LOG_TAIL, OfVm(vm_id))

    async def past_starts(self, vm_id: VmId) -> Sequence[StartRecord]:
        """As DesktopHost."""
        return await self._client.call(calls.PAST_STARTS, OfVm(vm_id))

    def connected(self) -> Notice:
        """As calls_client.ClientOwner: the other node frees the seats that are not named."""
        return Notice(calls.HELD, to_plain(HeldSeats(tuple(self._held))))

    def noticed(self, notice: Notice) -> None:
        """As calls_client.ClientOwner: events for clients. Those of a newer node are ignored."""
        match notice.name:
            case calls.PROGRESSED:
                self._deliver(from_plain(Progressed, notice.facts))
            case calls.EVICTED:
                self._deliver(from_plain(Evicted, notice.facts))
            case calls.DESKTOPS:
                self.running = updated(self.running, from_plain(DesktopNews, notice.facts))
            case _:
                pass

    def _leave(self, seat: Seat) -> None:
        self._client.notice(Notice(calls.DETACHED, to_plain(key_of(seat))))
