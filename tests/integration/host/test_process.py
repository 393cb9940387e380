"""Real children: what they get, how they end, what is left of them."""

import asyncio
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import uvloop

from qvdnode.host import child as child_process
from qvdnode.host import process
from qvdnode.host.child import Child
from qvdnode.model.errors import HostFailed, TimedOut
from tests.waiting import until


def alive(pid: int) -> bool:
    """Whether the process still runs; a zombie does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


async def test_a_program_is_run_to_its_end() -> None:
    finished = await process.run(["cat"], stdin=b"hello")
    assert (finished.returncode, finished.stdout) == (0, b"hello")


async def test_a_child_gets_no_environment_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QVDNODE_SECRET", "hunter2")
    finished = await process.run(["env"], env={"DISPLAY": ":7"})
    names = {line.partition(b"=")[0] for line in finished.stdout.splitlines()}
    assert names == {b"PATH", b"LC_ALL", b"DISPLAY"}


LoopFactory = Callable[[], asyncio.AbstractEventLoop]
# The node runs on uvloop, which closes nothing in a child by itself; commands run on asyncio's own.
on_each_loop = pytest.mark.parametrize(
    "loop", [uvloop.new_event_loop, asyncio.new_event_loop], ids=["uvloop", "asyncio"]
)


def test_a_pipe_is_not_closed_once_more_when_its_number_is_another_files() -> None:
    async def descriptor_survives() -> None:
        reading, writing = os.pipe()
        file = child_process.closed_once(os.fdopen(reading, "rb", buffering=0))
        number = file.fileno()
        os.close(number)  # as uvloop does, before it closes the file
        os.dup2(writing, number)
        file.close()
        os.fstat(number)
        os.close(number)
        os.close(writing)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(descriptor_survives())


@contextmanager
def left_open(count: int) -> Iterator[list[int]]:
    """Descriptors that a child inherits unless somebody prevents it."""
    opened = [os.open("/dev/null", os.O_RDONLY) for _ in range(count)]
    try:
        for descriptor in opened:
            os.set_inheritable(descriptor, True)
        yield opened
    finally:
        for descriptor in opened:
            os.close(descriptor)


async def descriptors_of(pid: int) -> set[int]:
    """The numbers of the open descriptors of a `sleep` that has opened all of its libraries."""

    def sleeps() -> bool:
        stat = Path(f"/proc/{pid}/stat").read_text().rpartition(")")
        return stat[0].endswith("(sleep") and stat[2].split()[0] == "S"

    await until(sleeps)
    return {int(entry.name) for entry in Path(f"/proc/{pid}/fd").iterdir()}


@on_each_loop
@pytest.mark.parametrize("how", ["launch", "spawn_piped"])
def test_a_child_gets_three_streams_and_no_other_descriptor(loop: LoopFactory, how: str) -> None:
    async def child_has() -> set[int]:
        child = await getattr(process, how)(["sleep", "60"])
        try:
            return await descriptors_of(child.pid)
        finally:
            await process.end(child, grace_s=0)

    with asyncio.Runner(loop_factory=loop) as runner, left_open(5):
        assert runner.run(child_has()) == {0, 1, 2}


@on_each_loop
def test_a_child_gets_the_descriptors_that_are_named(loop: LoopFactory) -> None:
    async def child_has(*named: int) -> set[int]:
        child = await process.launch(["sleep", "60"], pass_fds=named)
        try:
            return await descriptors_of(child.pid)
        finally:
            await process.end(child, grace_s=0)

    with asyncio.Runner(loop_factory=loop) as runner, left_open(5) as opened:
        for named in ([opened[0]], [opened[3], opened[2]], opened):
            assert runner.run(child_has(*named)) == {0, 1, 2, *named}


@on_each_loop
def test_a_missing_program_is_told_on_each_loop(loop: LoopFactory) -> None:
    with (
        asyncio.Runner(loop_factory=loop) as runner,
        pytest.raises(HostFailed, match="no-such-program is not installed"),
    ):
        runner.run(process.run(["no-such-program"]))


@on_each_loop
def test_nothing_stays_open_of_a_child_that_has_ended(loop: LoopFactory) -> None:
    async def opened_after() -> set[str]:
        await process.run(["cat"], stdin=b"hello")
        child = await process.spawn_piped(["sh", "-c", "sleep 60 & exec sleep 60"])
        await process.end_all(child)
        await asyncio.sleep(0)  # transports close in the loop's next turn
        return {entry.name for entry in Path("/proc/self/fd").iterdir()}

    with asyncio.Runner(loop_factory=loop) as runner:
        before = runner.run(opened_after())  # with what the loop has opened for itself
        assert runner.run(opened_after()) == before


async def test_a_program_that_cannot_be_executed_is_told(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no program")
    with pytest.raises(HostFailed, match="text cannot be started: Permission denied"):
        await process.run([tmp_path / "text"])


async def test_a_start_that_is_cancelled_leaves_no_child(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[Child] = []
    really_start = child_process.start

    async def start(*words: Any, **more: Any) -> Child:
        started.append(await really_start(*words, **more))
        work.cancel()
        return started[-1]

    monkeypatch.setattr(child_process, "start", start)
    work = asyncio.create_task(process.spawn_piped(["sleep", "60"]))
    with pytest.raises(asyncio.CancelledError):
        await work
    assert [one.returncode for one in started] == [-signal.SIGKILL]


async def test_a_bad_exit_is_told_in_its_own_words() -> None:
    with pytest.raises(HostFailed, match=r"sh failed \(3\): no such thing"):
        await process.run(["sh", "-c", "echo no such thing >&2; exit 3"])


async def test_a_bad_exit_may_be_an_answer() -> None:
    assert (await process.run(["false"], check=False)).returncode == 1


async def test_a_program_that_takes_too_long_is_killed_with_its_children(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    script = f"sleep 60 & echo $! $$ > {pids}; wait"
    with pytest.raises(TimedOut, match=r"did not end within 0\.5 s"):
        await process.run(["sh", "-c", script], limit_s=0.5)
    started = [int(word) for word in pids.read_text().split()]
    await until(lambda: not any(alive(pid) for pid in started), what=f"the end of {started}")
    assert len(started) == 2


async def test_a_cancelled_run_leaves_no_child(tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    work = asyncio.create_task(process.run(["sh", "-c", f"echo $$ > {pid_file}; exec sleep 60"]))
    text = await until(lambda: pid_file.exists() and pid_file.read_text().strip())
    work.cancel()
    with pytest.raises(asyncio.CancelledError):
        await work
    assert not alive(int(text))


async def test_ending_asks_before_it_kills() -> None:
    child = await process.launch(["sleep", "60"])
    await process.end(child)
    assert child.returncode == -signal.SIGTERM


async def test_ending_kills_a_process_that_ignores_sigterm(tmp_path: Path) -> None:
    ready = tmp_path / "ready"
    child = await process.launch(["sh", "-c", f"trap '' TERM; : > {ready}; sleep 60"])
    await until(ready.exists)
    await process.end(child, grace_s=0.1)
    assert child.returncode == -signal.SIGKILL


async def test_ending_twice_is_fine() -> None:
    child = await process.launch(["true"])
    await child.wait()
    await process.end(child)
    assert child.returncode == 0


async def test_an_exit_code_is_had_without_reading_a_word() -> None:
    endless = "yes | head -c 10000000; exit 4"
    assert await process.exit_code(["sh", "-c", endless]) == 4


async def test_lines_are_followed_as_they_come() -> None:
    lines: list[str] = []
    await process.follow(["sh", "-c", "echo one >&2; echo two >&2"], on_line=lines.append)
    assert lines == ["one", "two"]


async def test_a_followed_program_that_fails_says_its_last_line() -> None:
    with pytest.raises(HostFailed, match="two"):
        await process.follow(["sh", "-c", "echo two >&2; exit 1"], on_line=lambda _line: None)


async def test_output_is_streamed_whole() -> None:
    size = 0
    async for chunk in process.stream(["head", "-c", "3000000", "/dev/zero"]):
        size += len(chunk)
    assert size == 3_000_000


async def test_a_stream_that_ends_badly_says_so() -> None:
    with pytest.raises(HostFailed, match="broken tape"):
        async for _chunk in process.stream(["sh", "-c", "echo data; echo broken tape >&2; exit 1"]):
            pass


async def test_a_stream_nobody_reads_to_its_end_ends_at_once() -> None:
    stream = process.stream(["yes"])
    assert await anext(stream)
    async with asyncio.timeout(30):
        await stream.aclose()


async def test_a_child_whose_pipe_is_full_can_be_ended() -> None:
    child = await process.spawn_piped(["yes"])
    assert child.stdout is not None
    assert await child.stdout.readline()
    async with asyncio.timeout(30):
        await process.end(child, grace_s=0)
    assert child.returncode == -signal.SIGKILL


async def test_every_way_to_run_a_program_has_its_limit() -> None:
    forever = ["sh", "-c", "echo word >&2; exec sleep 600"]
    heard: list[str] = []
    with pytest.raises(TimedOut, match=r"did not end within 0\.3 s"):
        await process.exit_code(forever, limit_s=0.3)
    with pytest.raises(TimedOut, match=r"did not end within 0\.3 s"):
        await process.follow(forever, on_line=heard.append, limit_s=0.3)
    assert heard == ["word"]


STUBBORN = ["sh", "-c", "trap 'echo no' TERM; echo ready; while :; do sleep 0.1; done"]


@pytest.mark.parametrize("again", [False, True])
async def test_cancelling_a_task_kills_a_child_that_ignores_sigterm(again: bool) -> None:
    """Its limit holds while it unwinds, and a second cancellation does not cut it short."""
    child = await process.spawn_piped(STUBBORN)
    begun = asyncio.Event()

    async def use() -> None:
        try:
            begun.set()
            await asyncio.Event().wait()
        finally:
            await process.end(child, grace_s=0.3)

    assert child.stdout is not None
    assert await child.stdout.readline() == b"ready\n"
    user = asyncio.create_task(use())
    await begun.wait()
    user.cancel()
    if again:
        assert await child.stdout.readline() == b"no\n"
        user.cancel()
    with pytest.raises(asyncio.CancelledError):
        await user
    assert child.returncode == -signal.SIGKILL


@pytest.mark.parametrize("by_itself", [False, True])
async def test_what_a_child_has_started_can_be_ended_with_it(by_itself: bool) -> None:
    last = "exit 0" if by_itself else "exec sleep 600"
    helped = f"sleep 600 <&- >&- 2>&- & echo $!; {last}"
    child = await process.spawn_piped(["sh", "-c", helped])
    assert child.stdout is not None
    helper = int(await child.stdout.readline())
    if by_itself:
        await until(lambda: child.returncode == 0)
    assert alive(helper)
    await process.end_all(child)
    assert child.returncode == (0 if by_itself else -signal.SIGTERM)
    await until(lambda: not alive(helper))
