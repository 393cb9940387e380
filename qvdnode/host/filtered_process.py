"""Child processes under a filter of system calls, which they hand down to all that they start.

A filter belongs to a thread for good and is inherited: so one thread takes it and starts them all.
"""

# tested-by: tests/integration/host/test_filtered_process.py

import asyncio
import contextlib
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import IO

from qvdnode.host import linux_calls, pidfd
from qvdnode.model.errors import HostFailed, TimedOut
from qvdnode.runtime.time_limit import TimeLimit
from qvdnode.runtime.to_its_end import to_its_end


class FilteredProcesses:
    """Starts programs under one filter, an array of struct sock_filter; wants CAP_SYS_ADMIN."""

    def __init__(self, program: bytes) -> None:
        self._thread = ThreadPoolExecutor(
            1, "filtered", initializer=linux_calls.filter_system_calls, initargs=(program,)
        )

    async def exit_code(
        self,
        argv: Sequence[str | Path],
        *,
        env: Mapping[str, str],
        limit_s: float,
        output: int | IO[bytes] = subprocess.DEVNULL,
    ) -> int:
        """Run a program, leader of a session, with that environment alone; its exit code.

        It inherits no descriptor. Raises HostFailed when it cannot be started, TimedOut.
        """
        started: list[subprocess.Popen[bytes]] = []

        async def start() -> subprocess.Popen[bytes]:
            spawn = partial(_spawn, [str(word) for word in argv], dict(env), output)
            started.append(await asyncio.get_running_loop().run_in_executor(self._thread, spawn))
            return started[0]

        try:
            child = await to_its_end(start())
            async with TimeLimit(limit_s):
                await pidfd.wait_gone(child.pid)
        except TimeoutError as error:
            raise TimedOut(f"{argv[0]} did not end within {limit_s:g} s") from error
        except OSError as error:
            raise HostFailed(f"{argv[0]} cannot be started: {error.strerror}") from error
        finally:
            for left in started:  # by a caller that was cancelled while it started, for one
                await to_its_end(asyncio.to_thread(_end, left))
        return child.returncode


def _spawn(
    argv: list[str], env: dict[str, str], output: int | IO[bytes]
) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        argv,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=output,
        env=env,
        start_new_session=True,
    )


def _end(child: subprocess.Popen[bytes]) -> None:
    if child.poll() is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        child.wait()
