"""Waits for processes that are not our children, such as servers that outlived an earlier node."""

import asyncio
import os


async def wait_exit(pid: int) -> None:
    """Return once that process has ended; at once if there is none. A zombie has ended."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    loop = asyncio.get_running_loop()
    gone = asyncio.Event()
    loop.add_reader(descriptor, gone.set)
    try:
        await gone.wait()
    finally:
        loop.remove_reader(descriptor)
        os.close(descriptor)
