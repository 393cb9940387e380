"""One run of the density bench: a node is filled, most users leave, their desktops hibernate."""

import asyncio
import contextlib
import random
import time
from collections import deque
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from bench.density_found import Run, Wanted
from bench.density_meter import Meter
from bench.density_stage import DensityStage, Lane, furnished
from bench.density_typing import Typing
from qvdnode.client.x11_link import X11Link
from qvdnode.model.errors import FarmError
from tests.harness.farm import Desk
from tests.harness.qvd import QvdConnection, Viewer

WINDOW_LIMIT_S: Final = 60.0
FEW: Final = 10
"""Connected when the first echoes are measured."""
FAILED_MAX: Final = 5
"""Failed logins after which a run ends: the machine does not take more."""
PROGRAMS_S: Final = 10.0
BROWSER_S: Final = 45.0
"""A login has opened its terminal by then."""
FILL_SHARE: Final = 0.6
"""Of the time limit; the rest is for what comes after the fill."""
LOOK_S: Final = 1.0
MANY: Final = 300
STUCK_S: Final = 60.0
"""Nobody else hibernates after so long without one."""
NODE_FULL: Final = 503
RECLAIMS: Final = "qvdnode_guest_reclaim_seconds_count"
FAILURES: Final = (AssertionError, OSError, FarmError, asyncio.IncompleteReadError, TimeoutError)


class NodeIsFull(AssertionError):
    """The node admits no more desktops: the end of a fill, and no failed login."""


@dataclass(slots=True)
class Show:
    """A run under way."""

    wanted: Wanted
    on: DensityStage
    found: Run
    meter: Meter
    typing: Typing
    clients: dict[str, AsyncExitStack] = field(default_factory=dict)
    due_s: float = 0.0
    """When the next login is due."""
    leaving: list[asyncio.Task[None]] = field(default_factory=list)
    reclaims_before: int = 0
    """Desktops that were hibernated to their end before anybody was to leave for good."""

    async def reclaims(self) -> int:
        """How many times the node has pushed a frozen desktop's memory to swap."""
        async with self.on.node.rest() as rest:
            return int(await rest.metric(RECLAIMS))


async def run(wanted: Wanted, mode: str, raw: Path) -> Run:
    """Fill, settle, leave, hibernate, reconnect; the node and all else are gone afterwards."""
    found = Run()
    async with (
        furnished(
            image=wanted.image,
            mode=mode,
            desktops=wanted.desktops,
            memory_mib=wanted.memory_mib,
            browser=wanted.browser,
        ) as on,
        X11Link(on.typists.display) as looks,
        X11Link(on.typists.display) as keys,
    ):
        show = Show(wanted, on, found, Meter(on.node), Typing(looks, keys))
        sampling = asyncio.create_task(show.meter.run())
        try:
            await bounded(show)
        finally:
            sampling.cancel()
            show.meter.write(raw)
            for task in show.leaving:
                task.cancel()
            for client in list(show.clients.values()):
                await client.aclose()
            # Thousands of programs that end in order would take hours, and memory for each thaw.
            await asyncio.to_thread(show.meter.kill_guests)
    return found


async def bounded(show: Show) -> None:
    """All phases, until the time is up or the host suffers."""
    work = asyncio.create_task(phases(show))
    guard = asyncio.create_task(suffering(show))
    try:
        done, _ = await asyncio.wait(
            {work, guard}, timeout=show.wanted.limit_s, return_when=asyncio.FIRST_COMPLETED
        )
    finally:  # also when the whole run is ended
        for task in (work, guard):
            task.cancel()
        await asyncio.wait({work, guard})
    if guard in done:
        show.found.stopped_because = guard.result()
    elif work not in done:
        show.found.stopped_because = f"the limit of {show.wanted.limit_s:g} s"
    elif not work.cancelled() and (error := work.exception()) is not None:
        # What was measured by then is kept.
        show.found.stopped_because = f"a phase failed: {error!r}"
        show.found.errors.append(show.found.stopped_because)


async def suffering(show: Show) -> str:
    """Return the reason once the run must end for the host's sake."""
    while True:
        await asyncio.sleep(LOOK_S)
        now = show.meter.host()
        if now.available_mib < show.wanted.floor_mib // 2:
            return f"only {now.available_mib} MiB are available"
        if show.meter.oom_kills():
            return "the kernel has killed a process for want of memory"


async def phases(show: Show) -> None:
    """All phases, each with a mark at its end."""
    wanted, found, meter = show.wanted, show.found, show.meter
    await settle("empty", show, 2.0)
    await fill(show)
    await asyncio.gather(*show.leaving)
    await settle("connected", show)
    if show.clients:
        await idle(show)
    if show.typing.seated:
        meter.phase = "typing"
        found.echo_all = await show.typing.type_for(wanted.echo_s)
        meter.mark("typing", found.marks)
    show.reclaims_before = await show.reclaims() if not wanted.stay_s else 0
    connected = [desk for desk in show.on.desks if desk.login in show.clients]
    for desk in connected[wanted.connected :]:
        await show.clients.pop(desk.login).aclose()
    meter.connected = len(show.clients)
    left = [desk for desk in show.on.desks if desk.login in meter.started and not shows(show, desk)]
    await hibernated(len(left), show)
    await settle("left", show)
    found.asleep_mib = await asyncio.to_thread(meter.asleep_mib)
    meter.phase = "reconnect"
    chosen = random.Random(len(left)).sample(left, min(wanted.sample, len(left)))
    for desk in chosen:
        frozen = meter.is_frozen(desk.vm_id)
        before = len(found.reconnect_s)
        await login(desk, show, show.on.lanes[0], found.reconnect_s)
        if frozen and len(found.reconnect_s) > before:
            found.thaw_s.append(found.reconnect_s[-1])
    await settle("reconnected", show)
    await thaw_again(show, chosen)


async def thaw_again(show: Show, chosen: list[Desk]) -> None:
    """Have those who came back leave and come back once more: now it is known what they need."""
    for desk in chosen:
        client = show.clients.pop(desk.login, None)
        if client is not None:
            await client.aclose()
    show.reclaims_before = await show.reclaims()
    show.meter.phase = "hibernate again"
    await until_reclaimed(len(chosen), show)
    show.meter.phase = "reconnect again"
    for desk in chosen:
        if show.meter.is_frozen(desk.vm_id):
            await login(desk, show, show.on.lanes[0], show.found.thaw_again_s)


def shows(show: Show, desk: Desk) -> bool:
    """Whether a client is attached to it."""
    return desk.login in show.clients


async def fill(show: Show) -> None:
    """Log users in: first those who type, then all others on several screens at once."""
    wanted, found, meter = show.wanted, show.found, show.meter
    meter.phase = "fill"
    began, paused_s = time.monotonic(), 0.0
    busy_s, generator_s = meter.busy_cpu_s(), meter.generator_cpu_s()
    ends_s = began + FILL_SHARE * wanted.limit_s
    typists = min(wanted.typists, wanted.connected)
    few, more = show.on.desks[: min(FEW, typists)], show.on.desks[min(FEW, typists) :]
    await lane_work(show, show.on.typists, deque(few), ends_s)
    if few and show.clients:
        before_s = time.monotonic()
        await settle("few", show, max(opened_s(wanted), wanted.settle_s))
        found.echo_few = await show.typing.type_for(wanted.echo_s)
        paused_s = time.monotonic() - before_s
        meter.phase = "fill"
    rest = more[: typists - len(few)], more[typists - len(few) :]
    others = deque(rest[1])
    work = [lane_work(show, show.on.typists, deque(rest[0]), ends_s)]
    work += [lane_work(show, lane, others, ends_s) for lane in show.on.lanes]
    await asyncio.gather(*work)
    found.fill_s = round(time.monotonic() - began - paused_s, 1)
    generator_s = meter.generator_cpu_s() - generator_s
    found.fill_cpu_s = round(meter.busy_cpu_s() - busy_s - generator_s, 1)


def opened_s(wanted: Wanted) -> float:
    """How long after its login a desktop has its programs open."""
    return BROWSER_S if wanted.browser else PROGRAMS_S


async def lane_work(show: Show, lane: Lane, desks: deque[Desk], ends_s: float) -> None:
    """Log in one user after the other on a screen, until nobody is left or no more may start."""
    while desks and show.found.stopped_because is None:
        desk = desks.popleft()
        show.due_s = max(show.due_s, time.monotonic()) + 60 / show.wanted.logins_per_min
        await asyncio.sleep(
            max(0.0, show.due_s - 60 / show.wanted.logins_per_min - time.monotonic())
        )
        window = await login(desk, show, lane, show.found.login_s)
        if window is not None and lane is show.on.typists:
            await show.typing.seat(window)
        stays = show.on.desks.index(desk) < show.wanted.connected
        if window is not None and not stays and show.wanted.stay_s:
            show.leaving.append(asyncio.create_task(leave_later(desk, show)))
        because = refusal(show, ends_s)
        if because is not None and show.found.stopped_because is None:
            show.found.stopped_because = because


async def leave_later(desk: Desk, show: Show) -> None:
    """Disconnect a user after a while."""
    await asyncio.sleep(show.wanted.stay_s)
    client = show.clients.pop(desk.login, None)
    if client is not None:
        await client.aclose()
    show.meter.connected = len(show.clients)


def refusal(show: Show, ends_s: float) -> str | None:
    """Why no more desktops may be started, or None."""
    now = show.meter.host()
    if now.available_mib < show.wanted.floor_mib:
        return f"only {now.available_mib} MiB are available"
    if show.meter.oom_kills():
        return "the kernel has killed a process for want of memory"
    if time.monotonic() > ends_s:
        return f"the fill took {FILL_SHARE:.0%} of {show.wanted.limit_s:g} s"
    return "too many logins failed" if len(show.found.errors) > FAILED_MAX else None


async def login(desk: Desk, show: Show, lane: Lane, times: list[float]) -> int | None:
    """Connect one user and wait for the window; its id, or None after a failure that is noted."""
    stack, began = AsyncExitStack(), time.monotonic()
    try:
        await stack.enter_async_context(shown(desk, show, lane))
        window = await lane.watcher.wait_new(WINDOW_LIMIT_S)
    except NodeIsFull as full:
        await stack.aclose()
        show.found.stopped_because = show.found.stopped_because or f"the node is full: {full}"
        return None
    except FAILURES as error:
        show.found.errors.append(f"{desk.login}: {error!r}")
        await stack.aclose()
        return None
    except BaseException:
        await stack.aclose()
        raise
    times.append(round(time.monotonic() - began, 4))
    show.clients[desk.login] = stack
    show.meter.started.add(desk.login)
    show.meter.connected = len(show.clients)
    return window


@contextlib.asynccontextmanager
async def shown(desk: Desk, show: Show, lane: Lane) -> AsyncIterator[Viewer]:
    """A desk's desktop on that screen, from the dialling on; ended at the end."""
    folder = show.on.node.state_dir / "viewers" / desk.login
    async with desk.dial() as connection:
        await ask_for(desk, connection)
        async with Viewer(connection, lane.display, folder) as viewer:
            yield viewer


async def ask_for(desk: Desk, connection: QvdConnection) -> None:
    """Ask for the desktop; raises NodeIsFull, AssertionError."""
    answer = await connection.connect(desk.vm_id, link="lan", geometry="640x480", fullscreen="0")
    text = answer.body.decode(errors="replace")[:300]
    if answer.status == NODE_FULL:
        raise NodeIsFull(text)
    if answer.status != 101:
        raise AssertionError(f"{answer.status} {text}")


async def settle(phase: str, show: Show, seconds: float | None = None) -> None:
    """Let the phase come to rest, then mark it."""
    show.meter.phase = phase
    await asyncio.sleep(show.wanted.settle_s if seconds is None else seconds)
    show.meter.mark(phase, show.found.marks)
    show.found.pss_mib[phase] = await asyncio.to_thread(show.meter.pss_mib)
    show.found.generator_mib[phase] = await asyncio.to_thread(show.meter.generator_mib)


async def idle(show: Show) -> None:
    """Measure what connected desktops do while nobody touches them."""
    show.meter.phase = "idle"
    before = show.meter.sample()
    await asyncio.sleep(show.wanted.settle_s)
    after = show.meter.mark("idle", show.found.marks)
    awake = max(after.desktops - after.frozen, 1)
    used_s = after.guests_cpu_s - before.guests_cpu_s
    show.found.idle_cpu_pct = round(100 * used_s / (after.at_s - before.at_s) / awake, 3)


async def hibernated(leaving: int, show: Show) -> None:
    """Wait until the memory of all who left is in swap, or until no more of them hibernate."""
    found, meter = show.found, show.meter
    meter.phase = "hibernate"
    began, busy_s = time.monotonic(), meter.busy_cpu_s()
    pushed, many_s = await until_reclaimed(leaving, show)
    if not show.wanted.stay_s:  # else most had left long before
        found.hibernate300_s = many_s
    seconds = time.monotonic() - began
    if leaving and pushed >= leaving:
        found.hibernate_s = round(seconds, 1)
    found.hibernate_cores = round((meter.busy_cpu_s() - busy_s) / seconds, 2) if leaving else None


async def until_reclaimed(leaving: int, show: Show) -> tuple[int, float | None]:
    """How many desktops had their memory pushed to swap, once all have or no more do.

    With the seconds that MANY of them took.
    """
    many_s: float | None = None
    began = changed = time.monotonic()
    before = 0
    while before < leaving and time.monotonic() - changed < STUCK_S:
        await asyncio.sleep(LOOK_S)
        now = await show.reclaims() - show.reclaims_before
        if now >= MANY and many_s is None:
            many_s = round(time.monotonic() - began, 1)
        if now != before:
            before, changed = now, time.monotonic()
    return before, many_s
