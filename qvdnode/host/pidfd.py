"""Signals and awaits processes by pidfd, identified by pid and start time.

A pid alone may have been reused by another process.
"""

import asyncio
import errno
import os
import signal
from pathlib import Path

PROC = Path("/proc")


def start_ticks(pid: int) -> int | None:
    """Field 22 of /proc/PID/stat, or None when there is no such process (or only a zombie)."""
    try:
        text = (PROC / str(pid) / "stat").read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The name, in parentheses, may hold spaces and parentheses of its own.
    fields = text.rpartition(")")[2].split()
    return None if fields[0] in {"Z", "X"} else int(fields[19])


def guest_pid(pid: int) -> int | None:
    """The pid that a process has one namespace below ours, or None when it is gone or in ours."""
    try:
        status = (PROC / str(pid) / "status").read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    for line in status.splitlines():
        if line.startswith("NSpid:"):
            pids = line.split()[1:]
            # More than two: the guest has namespaces of its own, and so a sandboxed pid 1.
            return int(pids[1]) if len(pids) > 1 else None
    return None


def open_process(pid: int, started_ticks: int | None = None) -> int | None:
    """A pidfd of that very process, or None when it is gone; the caller closes it."""
    try:
        descriptor = os.pidfd_open(pid)
    except OSError as error:
        # EINVAL, as of Linux 6.1: gone, but its number lives on as that of its session or group.
        if error.errno in {errno.ESRCH, errno.EINVAL}:
            return None
        raise
    ticks = start_ticks(pid)
    if ticks is None or (started_ticks is not None and ticks != started_ticks):
        os.close(descriptor)
        return None
    return descriptor


def send(pid: int, signal_number: signal.Signals, started_ticks: int | None = None) -> bool:
    """Signal that very process; False if it is gone."""
    descriptor = open_process(pid, started_ticks)
    if descriptor is None:
        return False
    try:
        signal.pidfd_send_signal(descriptor, signal_number)
    except ProcessLookupError:
        return False
    finally:
        os.close(descriptor)
    return True


async def wait_gone(pid: int, started_ticks: int | None = None) -> None:
    """Return once that very process is gone; at once if it is."""
    descriptor = open_process(pid, started_ticks)
    if descriptor is None:
        return
    loop = asyncio.get_running_loop()
    gone = asyncio.Event()
    loop.add_reader(descriptor, gone.set)
    try:
        await gone.wait()
    finally:
        loop.remove_reader(descriptor)
        os.close(descriptor)
