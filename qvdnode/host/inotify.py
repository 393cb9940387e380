"""One inotify descriptor for the node, so that watching a guest's folder costs no task.

Guests may write without limit. After each read the descriptor is not read for REST_S, while the
kernel merges or drops events, so that the node reads at most 1 / REST_S times a second.

If no more inotify watches can be made (limits, file descriptors or memory are exhausted), folders
are polled every POLL_S until they can.
"""

import asyncio
import contextlib
import ctypes
import errno
import logging
import os
import struct
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from qvdnode.model.errors import PartGone
from qvdnode.telemetry.metrics import Gauge

log = logging.getLogger(__name__)

POLLED = Gauge(
    "qvdnode_polled_folders",
    "Folders of guests that are polled because inotify watches are exhausted",
)

REST_S: Final = 0.02
POLL_S: Final = 0.08
"""Below what vm.display.operations.LAST_LINES_S allows."""
AGAIN_S: Final = 5.0
"""Between two attempts to go back from polling to inotify."""
GONE: Final = frozenset({errno.ENOENT, errno.ENOTDIR})
READ_BYTES: Final = 64 * 1024
MODIFIED: Final = 0x2
MOVED_TO: Final = 0x80
CREATED: Final = 0x100
OVERFLOWED: Final = 0x4000
ONLY_FOLDER: Final = 0x0100_0000
HEAD: Final = struct.Struct("iIII")

_libc: Final = ctypes.CDLL(None, use_errno=True)


@dataclass(eq=False, slots=True)
class _Watch:
    """A folder that is watched or polled."""

    folder: Path
    changed: Callable[[], None]
    number: int = -1
    """The kernel's, once it watches."""


class Inotify:
    """Calls back when something in a watched folder is written, made or moved in."""

    def __init__(self) -> None:
        self._descriptor: int | None = None
        self._callbacks: dict[int, Callable[[], None]] = {}
        self._resting: asyncio.TimerHandle | None = None
        self._polled: list[_Watch] = []
        self._polling: asyncio.TimerHandle | None = None
        self._again_s = 0.0
        """When inotify is tried again, on the loop's clock."""

    def watch(self, folder: Path, changed: Callable[[], None]) -> Callable[[], None]:
        """Call `changed` soon after each change, or every POLL_S; the answer ends it.

        Raises PartGone when there is no such folder.
        """
        watched = _Watch(folder, changed)
        try:
            watched.number = self._add(watched)
        except OSError as error:
            if error.errno in GONE:
                raise PartGone(f"cannot watch {folder}: {error.strerror}") from error
            log.warning("folder_polled", extra={"folder": str(folder), "because": error.strerror})
            self._poll(watched)
        return lambda: self._end(watched)

    def close(self) -> None:
        """End all watches."""
        for timer in (self._resting, self._polling):
            if timer is not None:
                timer.cancel()
        if self._descriptor is not None:
            asyncio.get_running_loop().remove_reader(self._descriptor)
            os.close(self._descriptor)
        self._descriptor = self._resting = self._polling = None
        self._callbacks.clear()
        self._polled.clear()
        POLLED.set(0)

    def _add(self, watched: "_Watch") -> int:
        mask = MODIFIED | MOVED_TO | CREATED | ONLY_FOLDER
        number = _checked(
            _libc.inotify_add_watch(
                self._open(), os.fsencode(watched.folder), ctypes.c_uint32(mask)
            )
        )
        self._callbacks[number] = watched.changed
        return number

    def _open(self) -> int:
        if self._descriptor is None:
            self._descriptor = _checked(_libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC))
            asyncio.get_running_loop().add_reader(self._descriptor, self._look)
        return self._descriptor

    def _poll(self, watched: "_Watch") -> None:
        self._polled.append(watched)
        POLLED.set(len(self._polled))
        if self._polling is None:
            loop = asyncio.get_running_loop()
            self._again_s = loop.time() + AGAIN_S
            self._polling = loop.call_later(POLL_S, self._look_at_all)

    def _look_at_all(self) -> None:
        loop = asyncio.get_running_loop()
        self._polling = loop.call_later(POLL_S, self._look_at_all) if self._polled else None
        if loop.time() >= self._again_s:
            self._again_s = loop.time() + AGAIN_S
            self._go_back()
        for watched in tuple(self._polled):
            watched.changed()

    def _go_back(self) -> None:
        """Replace polling by inotify watches where possible."""
        for watched in tuple(self._polled):
            try:
                watched.number = self._add(watched)
            except OSError as error:
                if error.errno not in GONE:
                    return
            self._forget(watched)
            watched.changed()  # once more, for changes before the watch was added
        log.info("folders_watched_again")

    def _forget(self, watched: "_Watch") -> None:
        if watched in self._polled:
            self._polled.remove(watched)
            POLLED.set(len(self._polled))

    def _end(self, watched: "_Watch") -> None:
        self._forget(watched)
        # The kernel may have given the number to a newer watch of the same folder.
        number = watched.number
        if self._callbacks.get(number) is watched.changed and self._descriptor is not None:
            del self._callbacks[number]
            _libc.inotify_rm_watch(self._descriptor, number)

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


def _checked(result: int) -> int:
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


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
