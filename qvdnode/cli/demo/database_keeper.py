"""Keeps the PostgreSQL of a demo's farm: python -m qvdnode.cli.demo.database_keeper STATE_DIR.

A process of its own, which the kernel asks to end when the demo has ended, even if it was killed:
the server is stopped once no node of the farm runs any more. The first line on stdout is the DSN.
"""

import contextlib
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

from qvdnode.cli.demo.farm_plan import NODES_MAX, FarmPlan
from qvdnode.cli.demo.node import TIED
from qvdnode.cli.demo.plan import DemoPlan
from qvdnode.cli.demo.traces import processes_of
from qvdnode.client.signals import run_to_signal
from qvdnode.daemon import state_folder
from qvdnode.db.embedded import EmbeddedPostgres
from qvdnode.db.settings import DatabaseSettings
from qvdnode.host import process
from qvdnode.model.errors import FarmError, HostFailed
from qvdnode.runtime.clock import Clock, SystemClock
from qvdnode.runtime.time_limit import TimeLimit

CONNECTIONS_PER_NODE: Final = 12
START_LIMIT_S: Final = 120.0
NODES_LIMIT_S: Final = 90.0
"""For the nodes to end, which stop their guests first."""
LOOK_AGAIN_S: Final = 0.2


@contextlib.asynccontextmanager
async def kept_database(farm: FarmPlan) -> AsyncIterator[str]:
    """The DSN of the farm's database, which runs for the time of the scope; raises HostFailed."""
    child = await process.spawn_piped([*TIED, sys.executable, *farm.keeper_words])
    try:
        if child.stdout is None or child.stderr is None:
            raise AssertionError("spawned with pipes")
        async with TimeLimit(START_LIMIT_S):
            dsn = (await child.stdout.readline()).decode().strip()
        if not dsn:
            reason = (await child.stderr.read()).decode(errors="replace").strip()
            raise HostFailed(f"The farm's database does not start: {reason[-400:]}")
        yield dsn
    finally:
        await process.end(child, grace_s=NODES_LIMIT_S)


async def keep(farm: FarmPlan, clock: Clock) -> None:
    """Run the server until cancelled, and then until the nodes have ended."""
    state_folder.secure(farm.database)
    settings = DatabaseSettings(
        state_dir=farm.database, connections_max=CONNECTIONS_PER_NODE * NODES_MAX
    )
    server = EmbeddedPostgres(settings, clock)
    try:
        dsn = await server.start()
        sys.stdout.write(f"{dsn}\n")
        sys.stdout.flush()
        await server.run()
    finally:
        until_s = clock.monotonic_s() + NODES_LIMIT_S
        while clock.monotonic_s() < until_s and any(map(processes_of, farm.members)):
            await clock.sleep(LOOK_AGAIN_S)
        await server.stop()


def main(state_dir: Path) -> int:
    """Keep the database; 1 when it cannot be started, with the reason on stderr."""
    base = DemoPlan(state_dir, "", None, 0, 0, None, once=True)
    try:
        run_to_signal(keep(FarmPlan(base, NODES_MAX), SystemClock()))
    except FarmError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
