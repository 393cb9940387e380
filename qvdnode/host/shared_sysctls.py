"""Raises sysctls to minimum values while instances on this host need them.

Each instance leaves a file in a record folder, beside one that says how the numbers stood before
the first came. The last instance puts them back, unless somebody else has changed them meanwhile.
The file names the instance's bridge: where that is gone, so is the instance, even if it was killed
and its state removed. The folder is gone after a reboot, as are the numbers; where it is not, the
boot id in the record tells. An instance in another network namespace has a bridge that cannot be
seen from here; it is there while that namespace has a process.
"""

import json
import os
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from qvdnode.host.boot import boot_id
from qvdnode.host.record_folder import locked

SYSCTLS: Final = Path("/proc/sys")
PROC: Final = Path("/proc")
BEFORE: Final = "before"
HOLDER: Final = "held-by-"


def link_exists(name: str) -> bool:
    """Whether the host has a network link of that name now."""
    try:
        return socket.if_nametoindex(name) > 0
    except OSError:
        return False


def network_namespace(process: Path = PROC / "self") -> str:
    """The number of a process's network namespace; raises OSError."""
    return "".join(filter(str.isdigit, (process / "ns/net").readlink().name))


def namespace_in_use(namespace: str) -> bool:
    """Whether a process is in that network namespace."""
    for process in PROC.glob("[0-9]*"):
        with suppress(OSError):  # it has ended
            if network_namespace(process) == namespace:
                return True
    return False


@dataclass(frozen=True, slots=True)
class SharedSysctls:
    """Some numbers, and the record of who needs them. Its calls block for a moment."""

    wanted: Mapping[str, int]
    """At least so much, by name below `sysctls`, such as `kernel/pid_max`."""
    records: Path
    failing: str
    """What cannot be done, for people: what messages of failures begin with."""
    sysctls: Path = SYSCTLS
    link_exists: Callable[[str], bool] = link_exists
    steered: tuple[str, ...] = ()
    """Other numbers, which the instances change as they see fit; put back at the end as well."""
    of_namespace: bool = False
    """Whether each network namespace has numbers of its own."""
    namespace: Callable[[], str] = network_namespace

    def low(self) -> dict[str, int]:
        """The numbers that are below what is wanted now, by name; those a kernel lacks are not."""
        found = {name: self._read(name) for name in self.wanted}
        return {
            name: value
            for name, value in found.items()
            if value is not None and value < self.wanted[name]
        }

    def hold(self, prefix: str, bridge: str) -> dict[str, int]:
        """Raise what is low while an instance has its bridge, which is there already.

        What was low; safe to repeat; raises HostFailed, having raised what it could.
        """
        with self._locked():
            holder = self.records / f"{HOLDER}{prefix}"
            holder.write_text(f"{bridge}\n{self.namespace()}\n", encoding="utf-8")
            low = self.low()
            read = {name: self._read(name) for name in self.steered}
            now = {name: value for name, value in read.items() if value is not None}
            before = {**low, **now, **self._before()}
            record = {"boot": boot_id(), "limits": before}
            self._record.write_text(json.dumps(record), encoding="ascii")
            self._write_all({name: self.wanted[name] for name in low})
            return low

    def release(self, prefix: str) -> dict[str, int]:
        """Note that the instance has stopped; returns the restored values by name."""
        with self._locked():
            (self.records / f"{HOLDER}{prefix}").unlink(missing_ok=True)
            if self._holders():
                return {}
            back = {
                name: value
                for name, value in self._before().items()
                if name in self.steered or self._read(name) == self.wanted.get(name)
            }
            self._record.unlink(missing_ok=True)
            self._write_all(back)
            return back

    def raised(self, name: str) -> bool:
        """Whether an instance has raised that number, rather than found it high enough."""
        with self._locked():
            return name in self._before()

    def settable(self) -> bool:
        """Whether this process can raise them; in some containers of a host root cannot."""
        return all(os.access(self.sysctls / name, os.W_OK) for name in self.low())

    @property
    def _record(self) -> Path:
        return self.records / (f"{BEFORE}-{self.namespace()}" if self.of_namespace else BEFORE)

    def _before(self) -> dict[str, int]:
        if not self._record.exists():
            return {}
        limits = json.loads(self._record.read_text(encoding="ascii"))["limits"]
        return {str(name): int(value) for name, value in limits.items()}

    def _holders(self) -> list[Path]:
        """Those that need the same numbers."""
        found = sorted(self.records.glob(f"{HOLDER}*"))
        if not self.of_namespace:
            return found
        own = self.namespace()
        return [holder for holder in found if _bridge_of(holder)[1] in {"", own}]

    def _lives(self, holder: Path) -> bool:
        bridge, namespace = _bridge_of(holder)
        if namespace in {"", self.namespace()}:
            return self.link_exists(bridge)
        return namespace_in_use(namespace)

    def _read(self, name: str) -> int | None:
        try:
            return int((self.sysctls / name).read_text(encoding="ascii"))
        except FileNotFoundError:
            return None

    def _write_all(self, values: Mapping[str, int]) -> None:
        """Raises the last OSError, having written what it could."""
        failed: OSError | None = None
        for name, value in values.items():
            try:
                (self.sysctls / name).write_text(f"{value}\n", encoding="ascii")
            except OSError as error:
                failed = error
        if failed is not None:
            raise failed

    @contextmanager
    def _locked(self) -> Iterator[None]:
        with locked(self.records, self.failing):
            if not self._is_of_this_boot():
                for stale in (*self._holders(), self._record):
                    stale.unlink(missing_ok=True)
            for holder in self._holders():
                if not self._lives(holder):
                    holder.unlink()
            yield

    def _is_of_this_boot(self) -> bool:
        if not self._record.exists():
            return False
        try:
            return bool(json.loads(self._record.read_text(encoding="ascii"))["boot"] == boot_id())
        except (ValueError, KeyError, TypeError):  # torn
            return False


def _bridge_of(holder: Path) -> tuple[str, str]:
    """The bridge of an instance, and its network namespace; older programs did not note that."""
    bridge, _, namespace = holder.read_text(encoding="utf-8").partition("\n")
    return bridge, namespace.strip()
