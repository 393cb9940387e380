"""Child processes: the one home of asyncio's subprocess calls.

Never a shell, never inherited descriptors or environment beyond what is named here: whatever a
library has opened, a child has its three streams and the `pass_fds` of its call.
"""

import asyncio
import contextlib
import os
import signal
import subprocess
import tempfile
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

from qvdnode.host import linux_calls
from qvdnode.host.descriptors import close_to_children
from qvdnode.model.errors import HostFailed, TimedOut
from qvdnode.runtime.time_limit import TimeLimit
from qvdnode.runtime.to_its_end import to_its_end

PIPE_BYTES: Final = 64 * 1024


@dataclass(frozen=True, slots=True)
class Finished:
    """A child that has ended."""

    argv: tuple[str, ...]
    returncode: int
    stdout: bytes
    stderr: bytes

    def last_words(self) -> str:
        """The end of what it said on stderr, for a message to a person."""
        return self.stderr.decode(errors="replace").strip()[-400:]


@dataclass(frozen=True, slots=True)
class _ChildSetup:
    """What is done in the forked child right before the program is executed in it.

    There no thread can open another descriptor any more. Marking descriptors, unlike closing them,
    leaves the pipe that tells of a failed exec.
    """

    pass_fds: tuple[int, ...] = ()
    seccomp_filter: bytes = b""
    """An array of struct sock_filter, which the program hands down to all that it starts."""

    def __call__(self) -> None:
        close_to_children(self.pass_fds)
        if self.seccomp_filter:
            linux_calls.filter_system_calls(self.seccomp_filter)


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
    child = await _spawn(words, env, stdin=DEVNULL if stdin is None else PIPE, output=PIPE)
    async with _killed_after(child, words[0], limit_s):
        stdout, stderr = await child.communicate(stdin)
    finished = Finished(words, child.returncode or 0, stdout, stderr)
    if check and finished.returncode != 0:
        raise HostFailed(f"{words[0]} failed ({finished.returncode}): {finished.last_words()}")
    return finished


async def exit_code(
    argv: Sequence[str | Path],
    *,
    env: Mapping[str, str] | None = None,
    limit_s: float = 60.0,
    output: int | IO[bytes] = DEVNULL,
    seccomp_filter: bytes = b"",
) -> int:
    """Run a program without reading its output, nor waiting for what it leaves; its exit code.

    A program that runs in a guest could print without end, or leave a pipe of ours open for ever.
    The filter of system calls, an array of struct sock_filter, wants CAP_SYS_ADMIN.
    Raises HostFailed when it cannot be started, TimedOut.
    """
    setup = _ChildSetup(seccomp_filter=seccomp_filter)
    child = await _spawn(argv, env, output=output, setup=setup)
    async with _killed_after(child, str(argv[0]), limit_s):
        return await child.wait()


async def spawn_piped(
    argv: Sequence[str | Path], *, env: Mapping[str, str] | None = None
) -> Process:
    """Start a program with its three streams piped to us; the caller ends it.

    Raises HostFailed when it is not installed.
    """
    return await _spawn(argv, env, stdin=PIPE, output=PIPE)


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
    output: int | IO[bytes] = DEVNULL,
    pass_fds: Sequence[int] = (),
) -> Process:
    """Start a program that runs beside us, stdout and stderr to `output`; the caller ends it.

    Raises HostFailed when it is not installed.
    """
    return await _spawn(argv, env, output=output, setup=_ChildSetup(tuple(pass_fds)))


async def _spawn(
    argv: Sequence[str | Path],
    env: Mapping[str, str] | None,
    *,
    output: int | IO[bytes],
    errors: int | IO[bytes] | None = None,
    stdin: int = DEVNULL,
    setup: _ChildSetup | None = None,
) -> Process:
    """Start a program, leader of a session of its own; stderr goes where stdout goes, or apart."""
    words = tuple(str(word) for word in argv)
    setup = setup or _ChildSetup()
    try:
        return await asyncio.create_subprocess_exec(
            *words,
            stdin=stdin,
            stdout=output,
            stderr=output if errors is None else errors,
            env=clean_environment(env),
            pass_fds=setup.pass_fds,
            start_new_session=True,
            preexec_fn=setup,
        )
    except FileNotFoundError as error:
        raise HostFailed(f"{words[0]} is not installed (qvdnode doctor lists it)") from error
    except subprocess.SubprocessError as error:
        raise HostFailed(
            f"{words[0]} was not started, since its descriptors or system calls cannot be limited "
            f"({error.__cause__ or error}); this needs Linux 5.11 or later"
        ) from error


@contextlib.asynccontextmanager
async def _killed_after(child: Process, name: str, limit_s: float) -> AsyncGenerator[None]:
    """A scope that the child does not outlive; raises TimedOut after the limit."""
    try:
        async with TimeLimit(limit_s):
            yield
    except TimeoutError as error:
        raise TimedOut(f"{name} did not end within {limit_s:g} s") from error
    finally:
        await end(child, grace_s=0)


async def end(child: Process, *, grace_s: float = 5.0) -> None:
    """End a child that may still run: SIGTERM, then SIGKILL after `grace_s`.

    A caller that is cancelled waits for that, too: no child is left behind half ended.
    """
    if child.returncode is None:
        await to_its_end(_end(child, grace_s))


async def _end(child: Process, grace_s: float) -> None:
    if grace_s > 0:
        with contextlib.suppress(ProcessLookupError):
            child.terminate()
        with contextlib.suppress(TimeoutError):
            async with TimeLimit(grace_s):
                await child.wait()
                return
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)
    await _drain(child.stdout)
    await _drain(child.stderr)
    await child.wait()


async def end_all(child: Process, *, grace_s: float = 5.0) -> None:
    """End a child as `end` does, and then what it started in its session and left behind."""
    try:
        await end(child, grace_s=grace_s)
    finally:
        # A number is given out again only after all others were, and not while the group lives.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)


async def _drain(pipe: asyncio.StreamReader | None) -> None:
    """Throw away what is left: asyncio takes a child for alive while a full pipe is not read."""
    with contextlib.suppress(RuntimeError):  # somebody else reads it, which does as well
        while pipe is not None and await pipe.read(PIPE_BYTES):
            pass


async def stream(
    argv: Sequence[str | Path], *, chunk_bytes: int = 256 * 1024
) -> AsyncGenerator[bytes, None]:
    """What a program prints, as it comes; raises HostFailed after the last byte of a bad exit.

    The program ends with the generator, also when nobody reads to the end.
    """
    words = tuple(str(word) for word in argv)
    # A file, not a pipe: a program with much to complain about must not wait for a reader.
    with tempfile.TemporaryFile() as complaints:
        child = await _spawn(words, None, output=PIPE, errors=complaints)
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
            raise HostFailed(f"{words[0]} failed: {finished.last_words()}")
