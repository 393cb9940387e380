"""Mounts whose owners look shifted: on disk uid 1000, in the guest's range start + 1000.

The kernel wants a user namespace that carries the mapping. A child makes one and is gone again; its
descriptor is kept for the next start that gets the same range.
"""

# tested-by: tests/integration/image/test_overlay.py

import asyncio
import os
from collections import OrderedDict
from pathlib import Path
from typing import Final

from qvdnode.host import mounts, process
from qvdnode.model.errors import HostFailed
from qvdnode.runtime.time_limit import TimeLimit

MADE_LIMIT_S: Final = 10.0
KEPT_NAMESPACES: Final = 128
"""Ranges are reused from the lowest, so few are ever in use that are not in here."""


class IdMapper:
    """Makes idmapped bind mounts; one for the node, closed at its end."""

    def __init__(self) -> None:
        self._namespaces: OrderedDict[tuple[int, int], int] = OrderedDict()
        self._making = asyncio.Lock()

    async def bind(
        self, source: Path, target: Path, *, start: int, count: int, attributes: int = 0
    ) -> None:
        """Bind `source` to `target` with ids 0..count-1 shown as start..start+count-1.

        Raises HostFailed, also when the file system of `source` cannot be mapped.
        """
        async with self._making:
            kept = await self._namespace(start, count)
            # A copy of our own, so that a later call may drop the kept one meanwhile.
            namespace = os.dup(kept)
        try:
            await asyncio.to_thread(mounts.bind, source, target, attributes, namespace)
        except OSError as error:
            raise HostFailed(
                f"{source} cannot be mounted with shifted owners: {error.strerror}"
            ) from error
        finally:
            os.close(namespace)

    def close(self) -> None:
        """Let go of the kept namespaces; mounts made with them stay."""
        while self._namespaces:
            os.close(self._namespaces.popitem()[1])

    async def _namespace(self, start: int, count: int) -> int:
        key = (start, count)
        if key in self._namespaces:
            self._namespaces.move_to_end(key)
            return self._namespaces[key]
        made = await user_namespace(start, count)
        self._namespaces[key] = made
        if len(self._namespaces) > KEPT_NAMESPACES:
            os.close(self._namespaces.popitem(last=False)[1])
        return made


async def user_namespace(start: int, count: int) -> int:
    """A descriptor of a new user namespace with that mapping, which belongs to the uid `start`.

    The kernel counts what is used in a namespace on the uid that made it, too (inotify, queued
    signals, message queues, namespaces within), so those of root would all share root's limits.
    """
    child = await process.spawn_piped(
        [
            "setpriv", f"--reuid={start}", f"--regid={start}", "--clear-groups",
            # Some hosts let only this capability make user namespaces; `cat` has lost it again.
            "--inh-caps=+sys_admin", "--ambient-caps=+sys_admin", "--",
            "unshare", "--user", "--", "cat",
        ]
    )  # fmt: skip
    try:
        if child.stdin is None or child.stdout is None:
            raise HostFailed("unshare has no pipes")
        # An answer from cat means that unshare is done.
        child.stdin.write(b"\n")
        async with TimeLimit(MADE_LIMIT_S):
            heard = await child.stdout.readline()
        if heard != b"\n":
            raise HostFailed("this kernel lets nobody make user namespaces (qvdnode doctor)")
        return await asyncio.to_thread(_map, child.pid, f"0 {start} {count}\n")
    except (OSError, TimeoutError) as error:
        raise HostFailed(f"no user namespace for the ids from {start}: {error}") from error
    finally:
        await process.end(child, grace_s=0)


def _map(pid: int, mapping: str) -> int:
    folder = Path("/proc") / str(pid)
    (folder / "uid_map").write_text(mapping, encoding="ascii")
    (folder / "gid_map").write_text(mapping, encoding="ascii")
    return os.open(folder / "ns" / "user", os.O_RDONLY | os.O_CLOEXEC)
