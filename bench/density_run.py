"""One run of the density bench: a node is filled, most users leave, their desktops hibernate."""

import asyncio
import contextlib
import random
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from bench.density_meter import Meter, Sample, generator_mib
from bench.desk_node import Stage, new_screen, percentile, shown
from qvdnode.image import recipes
from qvdnode.model.errors import FarmError
from tests.fixtures_image import build_if_missing
from tests.harness.farm import Desk, import_image, make_desk, make_flavour
from tests.harness.node import running_node, test_root

ZRAM_PCT: Final = 150
GRACE_S: Final = 5
WINDOW_LIMIT_S: Final = 30.0
SETTLE_S: Final = 20.0
FAILED_MAX: Final = 5
"""Failed logins after which a run ends: the machine does not take more."""
LOOK_S: Final = 1.0
MODES: Final[dict[str, dict[str, Any]]] = {
    "off": {"ksm": "off", "hibernate": False},
    "ksm": {"ksm": "tenant", "hibernate": False},
    "hibernate": {"ksm": "off", "zram_pct": ZRAM_PCT},
    "all": {"ksm": "tenant", "zram_pct": ZRAM_PCT},
}
"""Settings of the node's memory for each mode."""
FAILURES: Final = (AssertionError, OSError, FarmError, asyncio.IncompleteReadError, TimeoutError)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What was asked for on the command line."""

    desktops: int
    connected: int
    image: str
    logins_per_min: float
    sample: int
    """How many hibernated desktops are reconnected."""
    floor_mib: int
    limit_s: float


@dataclass(slots=True)
class Run:
    """What one run found."""

    login_s: list[float] = field(default_factory=list)
    """From the request to the window, the desktop stopped before."""
    reconnect_s: list[float] = field(default_factory=list)
    """The same for a desktop that was hibernated, or suspended where none hibernates."""
    errors: list[str] = field(default_factory=list)
    fill_s: float = 0.0
    hibernate_s: float | None = None
    stopped_because: str | None = None
    marks: dict[str, Sample] = field(default_factory=dict)
    """The sample at the end of each phase."""
    pss_mib: dict[str, float | None] = field(default_factory=dict)
    """Of a desktop's processes, at the end of each phase."""
    generator_mib: float = 0.0

    def figures(self) -> dict[str, float | str | None]:
        """What the summary says of it."""
        found: dict[str, float | str | None] = {
            "logins": len(self.login_s),
            "failed": len(self.errors),
            "logins_per_min": round(60 * len(self.login_s) / self.fill_s, 1)
            if self.fill_s
            else None,
            "hibernate_s": self.hibernate_s,
            "stopped_because": self.stopped_because,
            "generator_mib": self.generator_mib,
            "oom_kills": max((mark.oom_kills for mark in self.marks.values()), default=0),
        }
        for name, samples in (("login", self.login_s), ("reconnect", self.reconnect_s)):
            for share in (50, 99):
                value = round(percentile(samples, share / 100), 4) if samples else None
                found[f"{name}_p{share}_s"] = value
        for phase, mark in self.marks.items():
            if mark.desktops:
                found[f"{phase}_mb_each"] = round(mark.guests_mib / mark.desktops, 1)
                found[f"{phase}_pss_each"] = self.pss_mib[phase]
        return found


@contextlib.asynccontextmanager
async def furnished(wanted: Wanted, mode: str) -> AsyncIterator[Stage]:
    """A node with as many desks, and a screen for all of them."""
    recipe = recipes.by_name(wanted.image)
    root = await asyncio.to_thread(build_if_missing, recipe)
    memory = {"warm_pct": 100, "overcommit": 16.0, "busy_pct": 100, **MODES[mode]}
    async with (
        running_node(test_root(), memory=memory) as node,
        node.rest() as rest,
        new_screen() as (display, watcher),
    ):
        await import_image(rest, wanted.image, root)
        flavour = await make_flavour(
            rest, "bench", wanted.image, hibernate_after_s=GRACE_S, memory_mib=512
        )
        desks = [
            await make_desk(node, rest, f"user{number}", flavour)
            for number in range(wanted.desktops)
        ]
        yield Stage(node, desks, display, watcher, root)


async def run(wanted: Wanted, mode: str, raw: Path) -> Run:
    """Fill, settle, leave, hibernate, reconnect; the node and all else are gone afterwards."""
    found = Run()
    async with furnished(wanted, mode) as on:
        meter = Meter(on.node)
        sampling = asyncio.create_task(meter.run())
        clients: dict[str, AsyncExitStack] = {}
        try:
            async with asyncio.timeout(wanted.limit_s):
                await phases(wanted, on, found, meter, clients)
        except TimeoutError:
            found.stopped_because = f"the limit of {wanted.limit_s:g} s"
        finally:
            sampling.cancel()
            meter.write(raw)
            for client in clients.values():
                await client.aclose()
    return found


async def phases(
    wanted: Wanted, on: Stage, found: Run, meter: Meter, clients: dict[str, AsyncExitStack]
) -> None:
    """All phases, each with a mark at its end."""
    meter.phase = "fill"
    began = time.monotonic()
    for desk in on.desks:
        due = began + 60 * len(clients) / wanted.logins_per_min
        await asyncio.sleep(max(0.0, due - time.monotonic()))
        await login(desk, on, clients, found.login_s, found.errors)
        meter.connected = len(clients)
        found.stopped_because = refusal(wanted, meter, found)
        if found.stopped_because is not None:
            break
    found.fill_s = time.monotonic() - began
    await settle("connected", found, meter)
    found.generator_mib = generator_mib()
    leaving = [desk for desk in on.desks if desk.login in clients][wanted.connected :]
    meter.phase = "leave"
    for desk in leaving:
        await clients.pop(desk.login).aclose()
    meter.connected = len(clients)
    await hibernated(len(leaving), found, meter)
    await settle("left", found, meter)
    meter.phase = "reconnect"
    chosen = random.Random(len(leaving)).sample(leaving, min(wanted.sample, len(leaving)))
    for desk in chosen:
        await login(desk, on, clients, found.reconnect_s, found.errors)
        meter.connected = len(clients)
    await settle("reconnected", found, meter)


def refusal(wanted: Wanted, meter: Meter, found: Run) -> str | None:
    """Why no more desktops may be started, or None."""
    now = meter.sample()
    if now.available_mib < wanted.floor_mib:
        return f"only {now.available_mib} MiB are available"
    if now.oom_kills:
        return "the kernel has killed a process for want of memory"
    return "too many logins failed" if len(found.errors) > FAILED_MAX else None


async def login(
    desk: Desk, on: Stage, clients: dict[str, AsyncExitStack], times: list[float], errors: list[str]
) -> None:
    """Connect one user and wait for the window. One at a time, so each window has its user."""
    stack, began = AsyncExitStack(), time.monotonic()
    try:
        await stack.enter_async_context(shown(desk, on))
        await on.watcher.wait_new(WINDOW_LIMIT_S)
    except FAILURES as error:
        errors.append(f"{desk.login}: {error!r}")
        await stack.aclose()
        return
    times.append(round(time.monotonic() - began, 4))
    clients[desk.login] = stack


async def settle(phase: str, found: Run, meter: Meter) -> None:
    """Let the phase come to rest, then mark it."""
    meter.phase = phase
    await asyncio.sleep(SETTLE_S)
    found.marks[phase] = meter.sample()
    found.pss_mib[phase] = await asyncio.to_thread(meter.pss_mib)


async def hibernated(leaving: int, found: Run, meter: Meter) -> None:
    """Wait until all who left are hibernated, or as long as nothing hibernates any more."""
    meter.phase = "hibernate"
    began = changed = time.monotonic()
    frozen = 0
    while frozen < leaving and time.monotonic() - changed < 2 * SETTLE_S:
        await asyncio.sleep(LOOK_S)
        now = meter.sample().frozen
        if now != frozen:
            frozen, changed = now, time.monotonic()
    if leaving and frozen >= leaving:
        found.hibernate_s = round(time.monotonic() - began, 1)
