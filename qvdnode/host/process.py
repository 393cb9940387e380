"""Runs programs as child processes.

Never through a shell. A child inherits only its three streams, the `pass_fds` of the call and the
environment given here.
"""

import asyncio
import contextlib
import os
import signal
import tempfile
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from qvdnode.host import child as child_process
from qvdnode.host.child import DEVNULL, PIPE, Child, Stream
from qvdnode.model.errors import HostFailed, TimedOut
from qvdnode.runtime.shield import run_shielded
from qvdnode.runtime.time_limit import TimeLimit


@dataclass(frozen=True, slots=True)
class Finished:
    """A child that has ended."""

    argv: tuple[str, ...]
    returncode: int
    stdout: bytes
    stderr: bytes

    def stderr_tail(self) -> str:
        """The end of its stderr, for error messages."""
        return self.stderr.decode(errors="replace").strip()[-400:]


def clean_environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """PATH and the C locale, plus what is given."""
    base = {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C.UTF-8"}
    return {**base, **(extra or {})}


async def run(
    argv: Sequence[str | Path],
    *,
    stdin: bytes | None = None,
    env: Mapping[str, str] | None = None,
    limit_s: float = 60.0,
    check: bool = True,
) -> Finished:
    """Run a program to its end; raises HostFailed on a bad exit (with `check`), TimedOut."""
    words = tuple(str(word) for word in argv)
    child = await _spawn(words, env, streams=(DEVNULL if stdin is None else PIPE, PIPE, PIPE))
    async with _killed_after(child, words[0], limit_s):
        stdout, stderr = await child.communicate(stdin)
    finished = Finished(words, child.returncode or 0, stdout, stderr)
    if check and finished.returncode != 0:
        raise HostFailed(f"{words[0]} failed ({finished.returncode}): {finished.stderr_tail()}")
    return finished


async def exit_code(
    argv: Sequence[str | Path],
    *,
    env: Mapping[str, str] | None = None,
    limit_s: float = 60.0,
    output: Stream = DEVNULL,
    pass_fds: Sequence[int] = (),
    enter: Callable[[], None] | None = None,
) -> int:
    """Run a program, discard its output, do not wait for its children; returns its exit code.

    A program that runs in a guest could print without end, or leave a pipe of ours open for ever.
    `enter` changes the thread that starts it, and no other: see child.start.
    Raises HostFailed when it cannot be started, TimedOut.
    """
    child = await _spawn(
        argv, env, streams=(DEVNULL, output, output), pass_fds=pass_fds, enter=enter
    )
    async with _killed_after(child, str(argv[0]), limit_s):
        return await child.wait()


async def spawn_piped(
    argv: Sequence[str | Path],
    *,
    env: Mapping[str, str] | None = None,
    pass_fds: Sequence[int] = (),
) -> Child:
    """Start a program with its three streams piped to us; the caller ends it.

    Raises HostFailed when it is not installed.
    """
    return await _spawn(argv, env, streams=(PIPE, PIPE, PIPE), pass_fds=pass_fds)


async def follow(
    argv: Sequence[str | Path],
    *,
    on_line: Callable[[str], None],
    env: Mapping[str, str] | None = None,
    limit_s: float = 60.0,
) -> None:
    """Run a program, handing on each line of its stderr; raises HostFailed, TimedOut."""
    words = tuple(str(word) for word in argv)
    child = await spawn_piped(words, env=env)
    if child.stdin is None or child.stdout is None or child.stderr is None:
        raise HostFailed(f"{words[0]} has no pipes")
    child.stdin.close()
    last = ""
    async with _killed_after(child, words[0], limit_s):
        async with asyncio.TaskGroup() as group:
            group.create_task(child.stdout.read())
            async for raw in child.stderr:
                last = raw.decode(errors="replace").strip() or last
                on_line(last)
        await child.wait()
    if child.returncode != 0:
        raise HostFailed(f"{words[0]} failed ({child.returncode}): {last}")


async def launch(
    argv: Sequence[str | Path],
    *,
    env: Mapping[str, str] | None = None,
    output: Stream = DEVNULL,
    pass_fds: Sequence[int] = (),
) -> Child:
    """Start a program that runs beside us, stdout and stderr to `output`; the caller ends it.

    Raises HostFailed when it is not installed.
    """
    return await _spawn(argv, env, streams=(DEVNULL, output, output), pass_fds=pass_fds)


async def _spawn(
    argv: Sequence[str | Path],
    env: Mapping[str, str] | None,
    *,
    streams: tuple[Stream, Stream, Stream],
    pass_fds: Sequence[int] = (),
    enter: Callable[[], None] | None = None,
) -> Child:
    """Start a program with that stdin, stdout and stderr; it leads a session of its own."""
    words = [str(word) for word in argv]
    started: list[Child] = []

    async def start() -> None:
        environment = clean_environment(env)
        child = await child_process.start(
            words, environment, streams, pass_fds=pass_fds, enter=enter
        )
        started.append(child)
        await child.connect_pipes()

    try:
        await run_shielded(start())
    except (OSError, asyncio.CancelledError) as error:
        for child in started:
            await end(child, grace_s=0)
        if isinstance(error, FileNotFoundError):
            missing = f"{words[0]} is not installed (qvdnode doctor lists it)"
            raise HostFailed(missing) from error
        if isinstance(error, OSError):
            raise HostFailed(f"{words[0]} cannot be started: {error.strerror}") from error
        raise
    return started[0]


@contextlib.asynccontextmanager
async def _killed_after(child: Child, name: str, limit_s: float) -> AsyncGenerator[None]:
    """A scope that the child does not outlive; raises TimedOut after the limit."""
    try:
        async with TimeLimit(limit_s):
            yield
    except TimeoutError as error:
        raise TimedOut(f"{name} did not end within {limit_s:g} s") from error
    finally:
        await end(child, grace_s=0)


async def end(child: Child, *, grace_s: float = 5.0) -> None:
    """End a child that may still run: SIGTERM, then SIGKILL after `grace_s`; and close its pipes.

    A cancelled caller waits for that, too, so that no child is left running.
    """
    try:
        if child.returncode is None:
            await run_shielded(_end(child, grace_s))
    finally:
        child.close()


async def _end(child: Child, grace_s: float) -> None:
    if grace_s > 0:
        child.send_signal(signal.SIGTERM)
        with contextlib.suppress(TimeoutError):
            async with TimeLimit(grace_s):
                await child.wait()
                return
    child.kill_session()
    await child.wait()


async def end_all(child: Child, *, grace_s: float = 5.0) -> None:
    """End a child as `end` does, and then what it started in its session and left behind."""
    try:
        await end(child, grace_s=grace_s)
    finally:
        child.kill_session()


async def stream(
    argv: Sequence[str | Path], *, chunk_bytes: int = 256 * 1024
) -> AsyncGenerator[bytes, None]:
    """What a program prints, as it comes; raises HostFailed after the last byte of a bad exit.

    The program ends with the generator, also when nobody reads to the end.
    """
    words = tuple(str(word) for word in argv)
    # A file, not a pipe: a program with much error output must not block.
    with tempfile.TemporaryFile() as complaints:
        child = await _spawn(words, None, streams=(DEVNULL, PIPE, complaints))
        if child.stdout is None:
            raise HostFailed(f"{words[0]} has no pipe")
        try:
            while chunk := await child.stdout.read(chunk_bytes):
                yield chunk
            await child.wait()
        finally:
            await end(child, grace_s=0)
        if child.returncode != 0:
            complaints.seek(0)
            finished = Finished(words, child.returncode or 0, b"", complaints.read())
            raise HostFailed(f"{words[0]} failed: {finished.stderr_tail()}")
