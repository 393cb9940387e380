"""What a user may do with the files in the home of a desktop, as its flavour allows."""

import logging

from qvdnode.model.errors import Forbidden
from qvdnode.model.home_files import FileListing, FilePart, Upload, UploadState
from qvdnode.session.access import Permission
from qvdnode.session.hosts import Hosts
from qvdnode.session.ports import DesktopHost

log = logging.getLogger(__name__)


class Files:
    """The use cases. Each raises Forbidden, and as the methods of DesktopHost do."""

    def __init__(self, hosts: Hosts) -> None:
        self._hosts = hosts

    async def list(self, permission: Permission, path: str) -> FileListing:
        """What is in a folder."""
        policy = permission.order.flavour.files
        if not policy.into_desktop and not policy.out_of_desktop:
            raise Forbidden("Files of this desktop can be reached from inside only.")
        host = await self._host(permission)
        return await host.list_files(permission.order.vm.id, path)

    async def read(self, permission: Permission, path: str, offset: int, length: int) -> FilePart:
        """A part of a file."""
        vm = permission.order.vm
        if not permission.order.flavour.files.out_of_desktop:
            raise Forbidden("Files may not be downloaded from this desktop.")
        if not offset:
            log.info("file_download_begun", extra={"vm": vm.id})
        return await (await self._host(permission)).read_file(vm.id, path, offset, length)

    async def upload(
        self, permission: Permission, upload: Upload, offset: int, content: bytes
    ) -> UploadState:
        """Take a part of a file."""
        vm = permission.order.vm
        host = await self._writable(permission)
        state = await host.upload(vm.id, upload, offset, content)
        if state.done:
            log.info("file_uploaded", extra={"vm": vm.id, "bytes": upload.size_bytes})
        return state

    async def cancel(self, permission: Permission, upload: Upload) -> None:
        """Remove what has arrived of a file."""
        host = await self._writable(permission)
        await host.cancel_upload(permission.order.vm.id, upload)

    async def _writable(self, permission: Permission) -> DesktopHost:
        if not permission.order.flavour.files.into_desktop:
            raise Forbidden("Files may not be uploaded to this desktop.")
        return await self._host(permission)

    async def _host(self, permission: Permission) -> DesktopHost:
        vm = permission.order.vm
        return await self._hosts.running(vm.id, vm.owner_node)
