"""Reads back what a hibernated desktop is going to need, while its client is still on its way.

Some seconds after a thaw it is noted which pages of its programs are in memory again: those that it
has used. At the next thaw the kernel reads these from swap in a thread, one call for many pages,
beside the programs' own faults, each of which waits for one page.
"""

import asyncio
import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from qvdnode.host import linux_calls, pidfd
from qvdnode.host.cgroups import Cgroups
from qvdnode.host.own_thread import in_own_thread
from qvdnode.memopt.core.page_runs import ENTRY, PAGE, RANGE, areas, packed, resident_runs
from qvdnode.model.errors import HostFailed
from qvdnode.telemetry.metrics import Histogram

log = logging.getLogger(__name__)

NOTED_AFTER_S: Final = 4.0
"""By then a desktop is drawn."""
RUNS_MAX: Final = 512
"""Most ranges of one desktop; with 16 bytes each, a thousand desktops take 8 MiB."""
AREA_MAX: Final = 256 << 20
"""Larger areas are not looked at: it would take long."""

SECONDS = Histogram("qvdnode_thaw_prefetch_seconds", "Reading back what a thawed desktop needs")


@dataclass(frozen=True, slots=True)
class _Needed:
    """What one program is going to need."""

    pid: int
    started_ticks: int
    ranges: bytes


class Prefetch:
    """Remembers it by control group."""

    def __init__(self, cgroups: Cgroups, proc: Path = Path("/proc")) -> None:
        self._cgroups = cgroups
        self._proc = proc
        self._needed: dict[str, Sequence[_Needed]] = {}
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._is_refused = False

    def begin(self, group: str) -> None:
        """The group is being thawed: read back, and note anew a little later; does not wait."""
        if self._is_refused:
            return
        needed = self._needed.get(group)
        if needed:
            _ = in_own_thread(lambda: self._read_back(needed), name="prefetch")
        loop = asyncio.get_running_loop()
        self.end(group)
        self._timers[group] = loop.call_later(NOTED_AFTER_S, self._note, group)

    def end(self, group: str) -> None:
        """The group is frozen or gone: what is in memory now tells nothing."""
        timer = self._timers.pop(group, None)
        if timer is not None:
            timer.cancel()

    def _note(self, group: str) -> None:
        del self._timers[group]
        for known in [name for name in self._needed if not self._cgroups.exists(name)]:
            del self._needed[known]
        # /proc/PID/pagemap takes milliseconds for a large program: too long for the loop.
        done = in_own_thread(lambda: self.needed(group), name="note-pages")
        done.add_done_callback(lambda answer: self.keep(group, answer.result()))

    def keep(self, group: str, needed: Sequence[_Needed]) -> None:
        """Remember what the group's programs need."""
        self._needed[group] = needed

    def known(self, group: str) -> Sequence[_Needed]:
        """What is remembered of the group."""
        return self._needed.get(group, ())

    def needed(self, group: str) -> Sequence[_Needed]:
        """What the group's programs have in memory now. Blocks for some milliseconds."""
        found: list[tuple[int, int, list[tuple[int, int]]]] = []
        try:
            pids = sorted(self._cgroups.processes(group))
        except HostFailed:
            return []
        for pid in pids:
            ticks = pidfd.start_ticks(pid)
            if ticks is not None:
                found.append((pid, ticks, self._runs(pid)))
        total = sum(len(runs) for _, _, runs in found)
        # Every program gives up the same share, so that no large one takes all of the room.
        share = min(1.0, RUNS_MAX / total) if total else 0.0
        return [
            _Needed(pid, ticks, packed(runs, max(1, int(len(runs) * share))))
            for pid, ticks, runs in found
            if runs
        ]

    def _runs(self, pid: int) -> list[tuple[int, int]]:
        folder, runs = self._proc / str(pid), list[tuple[int, int]]()
        try:
            maps = (folder / "maps").read_text(encoding="utf-8", errors="replace")
            with (folder / "pagemap").open("rb", buffering=0) as pagemap:
                for area in areas(maps):
                    if area.end - area.start <= AREA_MAX:
                        pagemap.seek(area.start // PAGE * ENTRY)
                        entries = pagemap.read((area.end - area.start) // PAGE * ENTRY)
                        runs += resident_runs(area, entries)
        except OSError:  # it is gone
            return []
        return runs

    def _read_back(self, needed: Sequence[_Needed]) -> None:
        with SECONDS.time():
            for one in needed:
                # By pid and start time: the number may be that of another process by now.
                descriptor = pidfd.open_process(one.pid, one.started_ticks)
                if descriptor is None:
                    continue
                try:
                    linux_calls.will_need(descriptor, one.ranges, len(one.ranges) // RANGE.size)
                except PermissionError as error:
                    self._is_refused = True
                    log.warning("prefetch_refused", extra={"because": error.strerror})
                    return
                except OSError:  # it is gone, or has unmapped a part
                    continue
                finally:
                    os.close(descriptor)
