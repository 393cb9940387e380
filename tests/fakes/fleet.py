"""A fleet whose guests are rows of a table: nothing is launched, all else is as in vm.fleet."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TypeVar

from qvdnode.host.guest_home import GuestHome
from qvdnode.host.own_thread import in_own_thread
from qvdnode.model.console import ConsoleOutput, ConsoleWish
from qvdnode.model.display_params import DisplayParams
from qvdnode.model.errors import Conflict, FarmError, GuestFailed, NotFound
from qvdnode.model.farm import DesktopOrder
from qvdnode.model.guest import GuestMemory
from qvdnode.model.home_files import FileListing, FilePart, Upload, UploadState
from qvdnode.model.ids import Generation, VmId
from qvdnode.model.image_commit import CommitRecord, CommitWish
from qvdnode.model.seat import Seat, Viewer
from qvdnode.model.vm_state import DisplayState, VmState
from qvdnode.vm.core.start_record import StartRecord
from qvdnode.vm.status import FleetLoad, GuestStatus
from tests.fakes.desktop_changes import commit_of

if TYPE_CHECKING:
    from pathlib import Path

T = TypeVar("T")

SINCE = datetime(2026, 1, 1, tzinfo=UTC)
LOG = "Session: Starting session at 'Thu Jan  1 00:00:00 2026'.\n"
MIB = 1024 * 1024


class FakeFleet:
    """Satisfies session.ports.DesktopHost, but that no client can be attached."""

    def __init__(self) -> None:
        self._guests: dict[VmId, GuestStatus] = {}
        self._gate = asyncio.Event()
        self._gate.set()
        self._refusals: list[FarmError] = []
        self.detached: list[Seat] = []
        self.typed: list[str] = []
        self.console_key = ""
        self.console_shown: asyncio.Queue[bytes] = asyncio.Queue()
        self.log = LOG
        self.home: Path | None = None
        """The home of all guests, if a test gives them one."""
        self.past: list[StartRecord] = []

    def put(
        self,
        order: DesktopOrder,
        state: VmState,
        display: DisplayState = DisplayState.OFF,
        *,
        viewer: bool = False,
        queue_place: int | None = None,
    ) -> None:
        """Let a guest be in that state."""
        self._guests[order.vm.id] = GuestStatus(
            order=order,
            state=state,
            display=display,
            since=SINCE,
            queue_place=queue_place,
            generation=Generation(1),
            viewer=viewer,
            error=None,
            end_reason=None,
            driver=order.flavour.driver,
            address="10.1.2.3",
            steps={"launch": 0.04},
        )

    def refuse(self, error: FarmError) -> None:
        """Let the next start end like this."""
        self._refusals.append(error)

    def hold(self) -> None:
        """Let starts and stops wait for `let_go`."""
        self._gate.clear()

    def let_go(self) -> None:
        """Let them go on."""
        self._gate.set()

    def guest(self, vm_id: VmId) -> GuestStatus | None:
        """The guest's row."""
        return self._guests.get(vm_id)

    async def status(self, vm_id: VmId) -> GuestStatus | None:
        """The guest's row."""
        return self.guest(vm_id)

    async def statuses(self) -> Sequence[GuestStatus]:
        """All rows."""
        return list(self._guests.values())

    def load(self) -> FleetLoad:
        """How much all of them take."""
        statuses = self._guests.values()
        return FleetLoad(
            guests=len(statuses),
            promised_mib=sum(status.order.flavour.memory_mib for status in statuses),
            starts_at_once=4,
            starts_queued=sum(status.queue_place is not None for status in statuses),
            starts_free=1,
        )

    async def attach(self, order: DesktopOrder, params: DisplayParams, viewer: Viewer) -> Seat:
        """No display."""
        raise GuestFailed("This guest has no display.", step="display")

    def detach(self, seat: Seat) -> None:
        """Remember it."""
        self.detached.append(seat)

    async def start(self, order: DesktopOrder, viewer: Viewer | None = None) -> None:
        """Preparing, then running; or the refusal."""
        if self._refusals:
            raise self._refusals.pop(0)
        self.put(order, VmState.PREPARING)
        await self._gate.wait()
        self.put(order, VmState.RUNNING, DisplayState.LISTENING)

    async def stop(self, vm_id: VmId) -> None:
        """Gone, when let go."""
        await self._gate.wait()
        self._guests.pop(vm_id, None)

    async def disconnect(self, vm_id: VmId) -> bool:
        """The viewer is gone; whether there was one."""
        status = self._guests.get(vm_id)
        if status is None or not status.viewer:
            return False
        self._guests[vm_id] = replace(status, viewer=False, display=DisplayState.SUSPENDED)
        return True

    async def type_text(self, vm_id: VmId, text: str) -> None:
        """Keep it; raises NotFound for what does not run."""
        if vm_id not in self._guests:
            raise NotFound("This VM does not run here.")
        self.typed.append(text)

    async def console(self, vm_id: VmId, wish: ConsoleWish) -> ConsoleOutput:
        """Shows what is typed, in capitals, and closes on `exit`; raises NotFound, Conflict."""
        if vm_id not in self._guests:
            raise NotFound("This VM does not run here.")
        if self.console_key not in {"", wish.key}:
            raise Conflict("Somebody else has the console.")
        self.console_key = "" if wish.ends else wish.key
        if wish.typed:
            self.console_shown.put_nowait(wish.typed.upper())
            return ConsoleOutput(b"", is_open=True)
        if wish.begins or wish.ends:
            return ConsoleOutput(b"login: " if wish.begins else b"", is_open=wish.begins)
        shown = await self.console_shown.get()
        return ConsoleOutput(shown, is_open=b"EXIT" not in shown)

    async def commit(self, vm_id: VmId, wish: CommitWish) -> CommitRecord:
        """A commit of the wish; raises NotFound for what does not run."""
        if vm_id not in self._guests:
            raise NotFound("This VM does not run here.")
        return commit_of(wish)

    async def list_files(self, vm_id: VmId, path: str) -> FileListing:
        """What the test's home has; raises NotFound for what does not run."""
        return await self._in_home(vm_id, lambda home: home.list(path))

    async def read_file(self, vm_id: VmId, path: str, offset: int, length: int) -> FilePart:
        """A part of a file there."""
        return await self._in_home(vm_id, lambda home: home.read(path, offset, length))

    async def upload(self, vm_id: VmId, upload: Upload, offset: int, content: bytes) -> UploadState:
        """Take a part of a file there."""
        return await self._in_home(vm_id, lambda home: home.upload(upload, offset, content))

    async def cancel_upload(self, vm_id: VmId, upload: Upload) -> None:
        """Remove what has arrived of it."""
        await self._in_home(vm_id, lambda home: home.cancel(upload))

    async def _in_home(self, vm_id: VmId, work: Callable[[GuestHome], T]) -> T:
        if vm_id not in self._guests or self.home is None:
            raise NotFound("This VM does not run here.")
        home = GuestHome(self.home, self.home.stat().st_uid, SINCE.timestamp())
        return await in_own_thread(lambda: work(home), name="fake-home")

    async def log_tail(self, vm_id: VmId) -> str:
        """`log` for what runs; raises NotFound for what does not."""
        if vm_id not in self._guests:
            raise NotFound("This VM does not run here, so it has no log now.")
        return self.log

    async def past_starts(self, vm_id: VmId) -> Sequence[StartRecord]:
        """Those that a test put there."""
        return [record for record in self.past if record.vm_id == vm_id]

    async def memory(self, vm_id: VmId) -> GuestMemory | None:
        """Some of the limit."""
        status = self._guests.get(vm_id)
        if status is None:
            return None
        return GuestMemory(100 * MIB, status.order.flavour.memory_mib * MIB)
