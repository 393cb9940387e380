"""One inotify descriptor for the node, so that watching a guest's folder costs no task.

A guest may write as often as it likes: after each look the descriptor rests for REST_S, while the
kernel merges or drops what comes, so that the node looks at most 1 / REST_S times a second.
"""

import asyncio
import contextlib
import ctypes
import os
import struct
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

from qvdnode.model.errors import HostFailed

REST_S: Final = 0.02
READ_BYTES: Final = 64 * 1024
MODIFIED: Final = 0x2
MOVED_TO: Final = 0x80
CREATED: Final = 0x100
OVERFLOWED: Final = 0x4000
ONLY_FOLDER: Final = 0x0100_0000
HEAD: Final = struct.Struct("iIII")

_libc: Final = ctypes.CDLL(None, use_errno=True)


class Inotify:
    """Calls back when something in a watched folder is written, made or moved in."""

    def __init__(self) -> None:
        self._descriptor: int | None = None
        self._callbacks: dict[int, Callable[[], None]] = {}
        self._resting: asyncio.TimerHandle | None = None

    def watch(self, folder: Path, changed: Callable[[], None]) -> Callable[[], None]:
        """Call `changed` soon after each change; the answer ends it. Raises HostFailed."""
        mask = MODIFIED | MOVED_TO | CREATED | ONLY_FOLDER
        watch = _libc.inotify_add_watch(self._open(), os.fsencode(folder), ctypes.c_uint32(mask))
        if watch < 0:
            reason = os.strerror(ctypes.get_errno())
            raise HostFailed(f"cannot watch {folder}: {reason} (see fs.inotify.max_user_watches)")
        self._callbacks[watch] = changed
        return lambda: self._end(watch, changed)

    def close(self) -> None:
        """End all watches."""
        if self._resting is not None:
            self._resting.cancel()
        if self._descriptor is not None:
            asyncio.get_running_loop().remove_reader(self._descriptor)
            os.close(self._descriptor)
        self._descriptor = self._resting = None
        self._callbacks.clear()

    def _open(self) -> int:
        if self._descriptor is None:
            descriptor = _libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
            if descriptor < 0:
                raise HostFailed(
                    f"no inotify: {os.strerror(ctypes.get_errno())}"
                    " (see fs.inotify.max_user_instances)"
                )
            self._descriptor = descriptor
            asyncio.get_running_loop().add_reader(descriptor, self._look)
        return self._descriptor

    def _end(self, watch: int, changed: Callable[[], None]) -> None:
        # The kernel may have given the number to a newer watch of the same folder.
        if self._callbacks.get(watch) is changed and self._descriptor is not None:
            del self._callbacks[watch]
            _libc.inotify_rm_watch(self._descriptor, watch)

    def _look(self) -> None:
        if self._descriptor is None:
            return
        loop = asyncio.get_running_loop()
        loop.remove_reader(self._descriptor)
        self._resting = loop.call_later(REST_S, self._rested)
        changed: set[int] = set()
        with contextlib.suppress(BlockingIOError):
            changed = changed_watches(os.read(self._descriptor, READ_BYTES), self._callbacks)
        for watch in changed:
            callback = self._callbacks.get(watch)
            if callback is not None:
                callback()

    def _rested(self) -> None:
        if self._descriptor is not None:
            asyncio.get_running_loop().add_reader(self._descriptor, self._look)


def changed_watches(records: bytes, every: Iterable[int]) -> set[int]:
    """The watches that the kernel's records name; all of `every` when it lost some."""
    changed: set[int] = set()
    offset = 0
    while offset + HEAD.size <= len(records):
        watch, mask, _cookie, name_bytes = HEAD.unpack_from(records, offset)
        if mask & OVERFLOWED:
            return set(every)
        changed.add(watch)
        offset += HEAD.size + name_bytes
    return changed
