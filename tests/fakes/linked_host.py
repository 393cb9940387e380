"""A host of desktops behind a wire: all that crosses is bytes, as between two nodes."""

import pickle
from collections.abc import Callable, Sequence
from typing import TypeVar

from qvdnode.model.console import ConsoleOutput, ConsoleWish
from qvdnode.model.display_params import DisplayParams
from qvdnode.model.farm import DesktopOrder
from qvdnode.model.guest import GuestMemory
from qvdnode.model.home_files import FileListing, FilePart, Upload, UploadState
from qvdnode.model.ids import VmId
from qvdnode.model.image_commit import CommitRecord, CommitWish
from qvdnode.model.seat import Seat, Viewer, ViewerEvent
from qvdnode.session.ports import DesktopHost
from qvdnode.vm.core.start_record import StartRecord
from qvdnode.vm.status import GuestStatus

T = TypeVar("T")


class LinkedHost:
    """Satisfies session.ports.DesktopHost over another one; only bytes go between them."""

    def __init__(self, host: DesktopHost) -> None:
        self._host = host

    async def attach(self, order: DesktopOrder, params: DisplayParams, viewer: Viewer) -> Seat:
        return crossed(await self._host.attach(crossed(order), crossed(params), crossed(viewer)))

    def detach(self, seat: Seat) -> None:
        self._host.detach(crossed(seat))

    async def start(self, order: DesktopOrder, viewer: Viewer | None = None) -> None:
        await self._host.start(crossed(order), crossed(viewer))

    async def stop(self, vm_id: VmId) -> None:
        await self._host.stop(vm_id)

    async def disconnect(self, vm_id: VmId) -> bool:
        return crossed(await self._host.disconnect(vm_id))

    async def status(self, vm_id: VmId) -> GuestStatus | None:
        return crossed(await self._host.status(vm_id))

    async def statuses(self) -> Sequence[GuestStatus]:
        return [crossed(status) for status in await self._host.statuses()]

    async def memory(self, vm_id: VmId) -> GuestMemory | None:
        return crossed(await self._host.memory(vm_id))

    async def type_text(self, vm_id: VmId, text: str) -> None:
        await self._host.type_text(vm_id, crossed(text))

    async def console(self, vm_id: VmId, wish: ConsoleWish) -> ConsoleOutput:
        return crossed(await self._host.console(vm_id, crossed(wish)))

    async def commit(self, vm_id: VmId, wish: CommitWish) -> CommitRecord:
        return crossed(await self._host.commit(vm_id, crossed(wish)))

    async def list_files(self, vm_id: VmId, path: str) -> FileListing:
        return crossed(await self._host.list_files(vm_id, path))

    async def read_file(self, vm_id: VmId, path: str, offset: int, length: int) -> FilePart:
        return crossed(await self._host.read_file(vm_id, path, offset, length))

    async def upload(self, vm_id: VmId, upload: Upload, offset: int, content: bytes) -> UploadState:
        return crossed(await self._host.upload(vm_id, crossed(upload), offset, content))

    async def cancel_upload(self, vm_id: VmId, upload: Upload) -> None:
        await self._host.cancel_upload(vm_id, crossed(upload))

    async def log_tail(self, vm_id: VmId) -> str:
        return crossed(await self._host.log_tail(vm_id))

    async def past_starts(self, vm_id: VmId) -> Sequence[StartRecord]:
        return crossed(await self._host.past_starts(vm_id))


def crossing(deliver: Callable[[ViewerEvent], None]) -> Callable[[ViewerEvent], None]:
    """The way of events from the host to the node of the clients."""
    return lambda event: deliver(crossed(event))


def crossed(value: T) -> T:
    """The value at the other end: equal, and no part of it is the same object."""
    copy: T = pickle.loads(pickle.dumps(value))
    assert copy == value
    return copy
