"""Limits of the kernel that the host and all guests share, raised while an instance runs.

What the kernel can bound for each guest is bounded there (docs/decisions). The rest is one number
for all: raised so far that a guest meets the limit of its own memory first. As with forwarding,
several instances share them: each leaves a file that names its bridge, and the last puts back what
the first found, unless somebody else has changed it meanwhile.
"""

import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from qvdnode.host.boot import boot_id
from qvdnode.host.forwarding import link_exists
from qvdnode.host.record_folder import locked

SYSCTLS: Final = Path("/proc/sys")
RECORDS: Final = Path("/run/qvdnode/kernel-limits")
BEFORE: Final = "before"
HOLDER: Final = "held-by-"
NEIGHBOURS: Final = {"gc_thresh1": 16_384, "gc_thresh2": 49_152, "gc_thresh3": 65_536}
WANTED: Final[Mapping[str, int]] = {
    # Open files: each is charged to the memory of its guest. systemd sets the same.
    "fs/file-max": 2**63 - 1,
    # Process ids, of which each guest has as many as its flavour says. systemd sets the same.
    "kernel/pid_max": 4_194_304,
    # Pseudo-terminals, charged likewise; the kernel takes no more. 256 a guest, and what its users
    # mount in namespaces of their own.
    "kernel/pty/max": 1_048_576,
    # Neighbours. Each guest is one for the host and has one, its gateway.
    **{f"net/ipv4/neigh/default/{name}": value for name, value in NEIGHBOURS.items()},
    **{f"net/ipv6/neigh/default/{name}": value for name, value in NEIGHBOURS.items()},
}
"""At least so much, by name below SYSCTLS."""


@dataclass(frozen=True, slots=True)
class KernelLimits:
    """The limits, and the record of who needs them. Its calls block for a moment."""

    records: Path = RECORDS
    sysctls: Path = SYSCTLS
    link_exists: Callable[[str], bool] = link_exists

    def low(self) -> dict[str, int]:
        """The limits that are below what is wanted now, by name; those a kernel lacks are not."""
        found = {name: self._read(name) for name in WANTED}
        return {
            name: value
            for name, value in found.items()
            if value is not None and value < WANTED[name]
        }

    def hold(self, prefix: str, bridge: str) -> dict[str, int]:
        """Raise what is low while an instance has its bridge, which is there already.

        What was low; safe to repeat; raises HostFailed, having raised what it could.
        """
        with self._locked():
            (self.records / f"{HOLDER}{prefix}").write_text(f"{bridge}\n", encoding="utf-8")
            low = self.low()
            before = {**low, **self._before()}
            record = {"boot": boot_id(), "limits": before}
            self._record.write_text(json.dumps(record), encoding="ascii")
            self._write_all({name: WANTED[name] for name in low})
            return low

    def leave(self, prefix: str) -> dict[str, int]:
        """The instance needs them no more; what was put back, and to what."""
        with self._locked():
            (self.records / f"{HOLDER}{prefix}").unlink(missing_ok=True)
            if self._holders():
                return {}
            back = {
                name: value
                for name, value in self._before().items()
                if self._read(name) == WANTED.get(name)
            }
            self._record.unlink(missing_ok=True)
            self._write_all(back)
            return back

    def settable(self) -> bool:
        """Whether this process can raise them; in some containers of a host root cannot."""
        return all(os.access(self.sysctls / name, os.W_OK) for name in self.low())

    @property
    def _record(self) -> Path:
        return self.records / BEFORE

    def _before(self) -> dict[str, int]:
        if not self._record.exists():
            return {}
        limits = json.loads(self._record.read_text(encoding="ascii"))["limits"]
        return {str(name): int(value) for name, value in limits.items()}

    def _holders(self) -> list[Path]:
        return sorted(self.records.glob(f"{HOLDER}*"))

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
        with locked(self.records, "limits of the kernel cannot be raised"):
            if not self._is_of_this_boot():
                for stale in (*self._holders(), self._record):
                    stale.unlink(missing_ok=True)
            for holder in self._holders():
                if not self.link_exists(holder.read_text(encoding="utf-8").strip()):
                    holder.unlink()
            yield

    def _is_of_this_boot(self) -> bool:
        if not self._record.exists():
            return False
        try:
            return bool(json.loads(self._record.read_text(encoding="ascii"))["boot"] == boot_id())
        except (ValueError, KeyError, TypeError):  # torn
            return False
