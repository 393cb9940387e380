"""The demo's node: a child process that ends when the demo ends, even if the demo is killed."""

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

from qvdnode.cli.demo.plan import ID_SLOTS, SUBNET_PREFIX_LENGTH, DemoPlan, config_text
from qvdnode.daemon import announcement
from qvdnode.daemon.announcement import Announcement
from qvdnode.host import id_reservations, pidfd, process
from qvdnode.host.child import Child
from qvdnode.model.errors import HostFailed, TimedOut
from qvdnode.model.guest import IDS_PER_GUEST
from qvdnode.net.host_network import unused_subnet
from qvdnode.runtime.clock import Clock
from qvdnode.runtime.time_limit import TimeLimit

SERVE_LIMIT_S: Final = 60.0
STOP_LIMIT_S: Final = 90.0
LOOK_AGAIN_S: Final = 0.02
LAST_LINES: Final = 12
TIED: Final = ("setpriv", "--pdeathsig", "TERM", "--")
"""The prefix of a command that the kernel kills when this process dies, even by SIGKILL."""


@contextlib.asynccontextmanager
async def running_node(
    plan: DemoPlan, python: str, clock: Clock
) -> AsyncIterator[tuple[Announcement, Child]]:
    """Start a node and wait until it serves; stop it with its guests at the end.

    Raises HostFailed with the end of the node's log.
    """
    await end_orphan(plan)
    subnet = await unused_subnet(prefixlen=SUBNET_PREFIX_LENGTH, seed=plan.seed)
    first_id = await unused_ids(plan)
    plan.config_file.write_text(config_text(plan, subnet, first_id), encoding="utf-8")
    child = await launch_node(plan, python)
    try:
        yield await serving(plan, child, clock), child
    finally:
        await end_node(child)


async def unused_ids(plan: DemoPlan, *, seed: int | None = None) -> int:
    """Return the first of the ids for the guests of a node; raises HostFailed."""
    ids = await asyncio.to_thread(
        id_reservations.unused,
        ID_SLOTS * IDS_PER_GUEST,
        seed=plan.seed if seed is None else seed,
        but=plan.state_dir,
    )
    return ids.start


async def launch_node(plan: DemoPlan, python: str, *within: str) -> Child:
    """Start the node's process; `within` is a prefix of its command. Raises HostFailed."""
    with plan.log_file.open("wb") as log:
        return await process.launch(
            [*TIED, *within, python, *plan.node_words], env=_environment(), output=log
        )


async def end_node(child: Child) -> None:
    """Stop a node; it gives its guests time to shut down, so the limit is long."""
    await process.end(child, grace_s=STOP_LIMIT_S)


def log_tail(log_file: Path) -> str:
    """Return the last lines of a log, for an error message."""
    try:
        lines = log_file.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return "(there is no log)"
    return "\n".join(lines[-LAST_LINES:])


async def watch_for_exit(plan: DemoPlan, child: Child) -> None:
    """Wait until the node exits unexpectedly; then raise HostFailed with the end of its log."""
    code = await child.wait()
    raise HostFailed(f"The node ended ({code}). The end of its log:\n{log_tail(plan.log_file)}")


def _environment() -> dict[str, str]:
    """Return only the variables that programs need to find their files, for example no proxies."""
    return {name: os.environ[name] for name in ("HOME", "TZ") if name in os.environ}


async def serving(plan: DemoPlan, child: Child, clock: Clock) -> Announcement:
    """Wait until the node serves; raises HostFailed or TimedOut with the end of its log."""
    deadline_s = clock.monotonic_s() + SERVE_LIMIT_S
    while True:
        said = announcement.read(plan.state_dir)
        if said is not None and said.pid == child.pid:
            return said
        if child.returncode is not None:
            await watch_for_exit(plan, child)
        if clock.monotonic_s() > deadline_s:
            raise TimedOut(f"The node does not serve. Its log:\n{log_tail(plan.log_file)}")
        await clock.sleep(LOOK_AGAIN_S)


async def end_orphan(plan: DemoPlan) -> None:
    """End a node that still serves from this folder: its demo is gone, since we hold the lock."""
    said = announcement.read(plan.state_dir)
    if said is None or not await asyncio.to_thread(_is_node, said.pid, plan):
        return
    with contextlib.suppress(ProcessLookupError):
        os.kill(said.pid, signal.SIGTERM)
    try:
        async with TimeLimit(STOP_LIMIT_S):
            await pidfd.wait_gone(said.pid)
    except TimeoutError as error:
        raise TimedOut(
            f"A node (process {said.pid}) serves from {plan.state_dir} and does not end."
        ) from error


def _is_node(pid: int, plan: DemoPlan) -> bool:
    """Whether the process is that node: the pid in an old announcement may be reused."""
    try:
        return plan.is_node(Path(f"/proc/{pid}/cmdline").read_bytes())
    except OSError:
        return False
