"""Makes idmapped mounts: a file of uid 1000 on disk belongs to start + 1000 in the guest.

The kernel takes the mapping from a user namespace, which is also the guest's. A short-lived child
creates it; its descriptor is cached for the next start with the same range.
"""

import asyncio
import contextlib
import os
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from qvdnode.host import mounts, process
from qvdnode.model.errors import HostFailed
from qvdnode.runtime.shield import run_shielded
from qvdnode.runtime.time_limit import TimeLimit

MADE_LIMIT_S: Final = 10.0
KEPT_NAMESPACES: Final = 128
"""Ranges are reused from the lowest, so few are ever in use that are not in here."""

NAMESPACE_LIMITS: Final = {
    # Most memory of a network namespace is charged to nobody. Browsers' sandboxes make one each.
    "net": 64,
    "user": 4096,
    **dict.fromkeys(("mnt", "pid", "uts", "cgroup"), 1024),
    **dict.fromkeys(("ipc", "time"), 64),
}
"""How many namespaces of each kind a guest and all its programs can have."""
OUTER: Final = 'echo && read -r _ && exec sh -c "$1" sh "$2"'
"""Once its ids are mapped it is root of its namespace, and gets that root's rights by an exec."""
INNER: Final = "\n".join(
    [
        "set -e",
        *(f"echo {most} > /proc/sys/user/max_{kind}_namespaces" for kind, most in
          NAMESPACE_LIMITS.items()),
        "exec 3<&0",
        "unshare --user -- cat <&3 >/dev/null &",
        # Refused until the other process is in its namespace, which it has not got if it ended (Z).
        'until echo "0 0 $1" > /proc/$!/uid_map; do',
        'read -r it < /proc/$!/stat; case $it in *") Z "*) exit 1;; esac',
        "done 2>/dev/null",
        'echo "0 0 $1" > /proc/$!/gid_map',
        "echo $!",
        "wait",
    ]
)  # fmt: skip


class Namespaces:
    """Caches a user namespace for each recently used range of ids.

    A range belongs to one guest at a time, and the next one that has it finds the namespace empty.
    """

    def __init__(self, make: Callable[[int, int], Awaitable[int]]) -> None:
        self._make = make
        self._kept: OrderedDict[tuple[int, int], int] = OrderedDict()
        self._making = asyncio.Lock()

    async def get(self, start: int, count: int) -> int:
        """A descriptor of that range's namespace, for the caller to close; raises HostFailed."""
        async with self._making:
            key = (start, count)
            if key not in self._kept:
                # A caller that is cancelled would lose the descriptor.
                await run_shielded(self._keep(start, count))
            self._kept.move_to_end(key)
            if len(self._kept) > KEPT_NAMESPACES:
                os.close(self._kept.popitem(last=False)[1])
            # A duplicate, since a later call may close the cached one.
            return os.dup(self._kept[key])

    async def _keep(self, start: int, count: int) -> None:
        self._kept[(start, count)] = await self._make(start, count)

    def close(self) -> None:
        """Close all; processes in them are not affected."""
        while self._kept:
            os.close(self._kept.popitem()[1])

    def __del__(self) -> None:
        """Descriptors do not outlive whoever had the namespaces made."""
        self.close()


class IdMapper:
    """Makes idmapped bind mounts; one for the node, closed at its end."""

    def __init__(self) -> None:
        self._namespaces = Namespaces(user_namespace)

    async def bind(
        self, source: Path, target: Path, *, start: int, count: int, attributes: int = 0
    ) -> None:
        """Bind `source` to `target` with ids 0..count-1 shown as start..start+count-1.

        Raises HostFailed, also when the file system of `source` cannot be mapped.
        """
        namespace = await self._namespaces.get(start, count)
        try:
            # The thread needs the descriptor until it has ended.
            await run_shielded(
                asyncio.to_thread(mounts.bind, source, target, attributes, namespace)
            )
        except OSError as error:
            raise HostFailed(
                f"{source} cannot be mounted with shifted owners: {error.strerror}"
            ) from error
        finally:
            os.close(namespace)

    def close(self) -> None:
        """Close the cached namespaces; mounts made with them stay."""
        self._namespaces.close()


async def user_namespace(start: int, count: int) -> int:
    """A descriptor of a new user namespace with that mapping for users and groups."""
    async with _child(start, ["cat"]) as child:
        child.stdin.write(b"\n")
        await child.read_line()  # output of cat means that unshare has ended
        return await asyncio.to_thread(_map, child.pid, f"0 {start} {count}\n")


async def guest_namespace(start: int, count: int) -> int:
    """A descriptor of a new user namespace for one guest, which shares no limit with others.

    What is used in a namespace (inotify, queued signals, message queues, namespaces within) the
    kernel counts on the uid that made it, too. One that root made would share root's limits, so a
    namespace belongs to its guest's first uid. It lies in another, whose own limits hold for all
    uids of the guest together: NAMESPACE_LIMITS.
    """
    async with _child(start, ["sh", "-c", OUTER, "sh", INNER, str(count)]) as child:
        await child.read_line()
        os.close(await asyncio.to_thread(_map, child.pid, f"0 {start} {count}\n"))
        child.stdin.write(b"\n")
        inner = Path("/proc") / str(int(await child.read_line())) / "ns" / "user"
        return os.open(inner, os.O_RDONLY | os.O_CLOEXEC)


@dataclass(frozen=True, slots=True)
class _Child:
    """A process in a namespace that has no mapping yet."""

    pid: int
    stdin: asyncio.StreamWriter
    stdout: asyncio.StreamReader

    async def read_line(self) -> str:
        """Return its next line of output."""
        line = await self.stdout.readline()
        if not line:
            raise HostFailed("this kernel lets nobody make user namespaces (qvdnode doctor)")
        return line.decode("ascii").strip()


@contextlib.asynccontextmanager
async def _child(uid: int, argv: Sequence[str]) -> AsyncIterator[_Child]:
    """Run that in a new user namespace of that uid; it ends with the scope."""
    child = await process.spawn_piped(
        [
            "setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups",
            # Some hosts let only this capability make user namespaces; the program has lost it.
            "--inh-caps=+sys_admin", "--ambient-caps=+sys_admin", "--",
            "unshare", "--user", "--", *argv,
        ]
    )  # fmt: skip
    try:
        if child.stdin is None or child.stdout is None:
            raise HostFailed("unshare has no pipes")
        async with TimeLimit(MADE_LIMIT_S):
            yield _Child(child.pid, child.stdin, child.stdout)
    except (OSError, ValueError, TimeoutError) as error:
        raise HostFailed(f"no user namespace for the ids from {uid}: {error}") from error
    finally:
        await process.end(child, grace_s=0)


def _map(pid: int, mapping: str) -> int:
    folder = Path("/proc") / str(pid)
    (folder / "uid_map").write_text(mapping, encoding="ascii")
    (folder / "gid_map").write_text(mapping, encoding="ascii")
    return os.open(folder / "ns" / "user", os.O_RDONLY | os.O_CLOEXEC)
