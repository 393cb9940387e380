"""What it costs to have a desktop run by Docker: cold starts against LXC's, and against a script.

As in startup.py, the time from a client's request to the desktop's window. One desktop of LXC, one
of Docker and one that a script starts on the same engine (docker_floor.py) take turns, so that a
machine that becomes slower makes all slower. Then as many desktops of Docker as KEPT, with the
node killed under them and started again: how many are still the same.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Final

from bench import options, results_file
from bench.desk_node import Stage, new_screen, percentile
from bench.docker_floor import BareDockerDesktop, docker_floor
from bench.options import Options
from bench.results_file import Figure, median, total
from bench.running import run
from bench.startup import Samples, one_bare_window, one_window, stop
from tests.e2e.guest_processes import guest_pids
from tests.fixtures_image import build_if_missing
from tests.harness.engine import DockerEngine, docker_engine
from tests.harness.farm import Desk, import_image, make_desk, make_flavour, until_vm
from tests.harness.node import running_node, test_root
from tests.harness.rest import Rest

ROUNDS: Final = 5
SAMPLES: Final = 8
"""In each round, of each kind."""
KEPT: Final = 5
RUNTIME: Final = "qvdbench"
WORKS_S: Final = 30.0


@dataclass(frozen=True, slots=True)
class Round:
    """What one round gave, in seconds."""

    lxc: Samples = field(default_factory=Samples)
    docker: Samples = field(default_factory=Samples)
    """With the samples of the floor."""


@contextlib.asynccontextmanager
async def two_drivers(engine: DockerEngine) -> AsyncIterator[Stage]:
    """A node with desks of LXC, and then as many of Docker."""
    root = await asyncio.to_thread(build_if_missing)
    settings = {"drivers.docker": {"socket": str(engine.socket), "runtime": RUNTIME}}
    async with (
        running_node(test_root(), **settings) as node,
        new_screen() as (display, watcher),
        node.rest() as rest,
    ):
        engine.offer(RUNTIME, node.state_dir / "docker" / "oci-runtime")
        await docker_works(rest)
        await import_image(rest, "icewm", root)
        desks: list[Desk] = []
        for driver in ("lxc", "docker"):
            flavour = await make_flavour(rest, driver, "icewm", driver=driver)
            logins = [f"{driver}{number}" for number in range(KEPT)]
            desks += [await make_desk(node, rest, login, flavour) for login in logins]
        yield Stage(node, desks, display, watcher, root)


async def docker_works(rest: Rest) -> None:
    """Return once the node has seen that the engine has its runtime."""
    async with asyncio.timeout(WORKS_S):
        while True:
            drivers = {it["name"]: it["problem"] for it in (await rest.get("/node"))["drivers"]}
            if drivers["docker"] is None:
                return
            await asyncio.sleep(0.1)


async def cold(on: Stage, rest: Rest, bare: Sequence[BareDockerDesktop], samples: int) -> Round:
    """Starts of stopped desktops, one after another."""
    found = Round()
    for number in range(samples):
        lxc, docker = on.desks[number % KEPT], on.desks[KEPT + number % KEPT]
        for desk, series in ((lxc, found.lxc), (docker, found.docker)):
            await one_window(desk, on, series)
            await stop(rest, desk)
        desktop = bare[number % len(bare)]
        await one_bare_window(desktop, on, found.docker)
        await desktop.stop()
    return found


async def kept(on: Stage) -> int:
    """How many desktops of Docker are the same after the node was killed and started again."""
    desks = on.desks[KEPT:]
    async with on.node.rest() as rest:
        for desk in desks:
            await rest.post(f"/vms/{desk.vm_id}/start")
            await until_vm(rest, desk.vm_id, state="running")
    before = {desk.vm_id: guest_pids(desk)[0] for desk in desks}
    await on.node.sigkill()
    await on.node.start()
    async with on.node.rest() as rest:
        for desk in desks:
            await until_vm(rest, desk.vm_id, state="running")
    return sum(guest_pids(desk)[:1] == [before[desk.vm_id]] for desk in desks)


def figures(rounds: Sequence[Round], kept_docker: int) -> dict[str, Figure]:
    """Medians of each round, and what they are to each other."""
    lxc = [percentile(one.lxc.window, 0.5) for one in rounds]
    docker = [percentile(one.docker.window, 0.5) for one in rounds]
    bare = [percentile(one.docker.bare, 0.5) for one in rounds]
    over = [[a / b for a, b in zip(docker, others, strict=True)] for others in (bare, lxc)]
    return {
        "lxc_cold_p50_s": median(lxc),
        "docker_cold_p50_s": median(docker),
        "docker_cold_p50_s_floor": median(bare),
        "docker_cold_over_floor": median(over[0]),
        "docker_cold_over_lxc": median(over[1]),
        "docker_kept_after_kill": total([kept_docker]),
    }


async def measure(wanted: Options) -> None:
    """All rounds on one node and one engine."""
    with docker_engine() as engine:
        async with two_drivers(engine) as on:
            async with (
                on.node.rest() as rest,
                docker_floor(on.image, on.display, KEPT, engine) as bare,
            ):
                await cold(on, rest, bare, KEPT)  # fills caches
                found = [await cold(on, rest, bare, SAMPLES) for _ in range(wanted.rounds)]
            same = await kept(on)
            steps = on.node.events("desktop_ready")
    raw = {"cold": [asdict(one) for one in found], "steps": steps}
    results_file.report("drivers", figures(found, same), raw, wanted)


def main() -> None:
    """Measure and write bench/results/drivers.json."""
    run(measure(options.parsed(__doc__, rounds=ROUNDS)))


if __name__ == "__main__":
    main()
