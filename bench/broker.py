"""What the broker costs: lists per processor second of the node, and the time of a fresh login.

Lists go over kept TLS connections, each logged in once; the list is read from the database every
time. Fresh logins come at 20 a second, each a new TLS connection of another user who has not
logged in before, so that its password is checked. A round is both.

The floor of the lists is the query behind them, sent by asyncpg without a node, on the same kind of
event loop: queries per processor second of the sending thread.
"""

import asyncio
import os
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import asyncpg
import uvloop

from bench import options, results_file
from bench.desk_node import percentile
from bench.results_file import against_floor, median
from bench.running import run
from qvdnode.db.embedded import EmbeddedPostgres
from qvdnode.db.settings import DatabaseSettings
from qvdnode.db.vms import DESKTOPS_OF
from qvdnode.runtime.clock import SystemClock
from tests.fixtures_image import build_if_missing
from tests.harness.farm import Desk, furnish
from tests.harness.node import NodeProcess, running_node, test_root
from tests.harness.qvd import QvdConnection

CONNECTIONS: Final = 16
BARE_CONNECTIONS: Final = 4
"""More are not left beside the node's own."""
ROUNDS: Final = 5
ROUND_S: Final = 4.0
LOGINS: Final = 200
"""Of each round: the p99 then is the third slowest."""
LOGINS_PER_S: Final = 20.0


@dataclass(frozen=True, slots=True)
class Samples:
    """What the rounds gave."""

    list_per_cpu_s: list[float]
    query_per_cpu_s: list[float]
    login_list_ms: list[list[float]]


def cpu_s(node: NodeProcess) -> float:
    """Processor time of the node's process so far."""
    assert node.process is not None
    fields = Path(f"/proc/{node.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def keep_listing(connection: QvdConnection, until_s: float) -> int:
    """Request lists over one connection until that moment; return how many."""
    count = 0
    while time.monotonic() < until_s:
        answer = await connection.ask("/qvd/list_of_vm")
        if answer.status != 200 or not answer.body.startswith(b'[{"id"'):
            raise AssertionError(f"{answer.status} {answer.body!r}")
        count += 1
    return count


async def lists_per_cpu_s(
    node: NodeProcess, connections: Sequence[QvdConnection], round_s: float
) -> float:
    """Answers per processor second of the node, over connections that have logged in."""
    before, end_s = cpu_s(node), time.monotonic() + round_s
    counts = await asyncio.gather(*(keep_listing(one, end_s) for one in connections))
    return sum(counts) / (cpu_s(node) - before)


def queries_per_cpu_s(dsn: str, user_id: int, round_s: float) -> float:
    """Answers to the query behind a list, per processor second of this thread."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_queries_per_cpu_s(dsn, user_id, round_s))


async def _queries_per_cpu_s(dsn: str, user_id: int, round_s: float) -> float:
    async with AsyncExitStack() as keep:
        connections = []
        for _ in range(BARE_CONNECTIONS):
            connections.append(await asyncpg.connect(dsn))
            keep.push_async_callback(connections[-1].close)
        await asyncio.gather(*(keep_asking(one, user_id, time.monotonic()) for one in connections))
        before, end_s = time.thread_time(), time.monotonic() + round_s
        counts = await asyncio.gather(*(keep_asking(one, user_id, end_s) for one in connections))
        return sum(counts) / (time.thread_time() - before)


async def keep_asking(
    connection: "asyncpg.Connection[asyncpg.Record]", user_id: int, until_s: float
) -> int:
    """Query over one connection until that moment, at least once; return how many queries."""
    count = 0
    while True:
        rows = await connection.fetch(DESKTOPS_OF, user_id, False)  # noqa: FBT003 - SQL's parameter
        if len(rows) != 1:
            raise AssertionError(f"{len(rows)} desktops")
        count += 1
        if time.monotonic() >= until_s:
            return count


async def login_ms(desk: Desk, at_s: float) -> float:
    """At that moment connect, log in, list and disconnect; return how long it took."""
    await asyncio.sleep(max(0.0, at_s - time.monotonic()))
    async with desk.dial() as connection:
        answer = await connection.ask("/qvd/list_of_vm")
    if answer.status != 200:
        raise AssertionError(f"{desk.login}: {answer.status} {answer.body!r}")
    return (time.monotonic() - at_s) * 1e3


async def fresh_logins(desks: Sequence[Desk]) -> list[float]:
    """Milliseconds of each, when they come at their rate."""
    begin_s = time.monotonic() + 1.0
    return await asyncio.gather(
        *(login_ms(desk, begin_s + number / LOGINS_PER_S) for number, desk in enumerate(desks))
    )


async def measure(logins: int, rounds: int, round_s: float) -> Samples:
    """All samples, against a node of its own."""
    root = await asyncio.to_thread(build_if_missing)
    async with running_node(test_root()) as node, AsyncExitStack() as keep:
        desks = await furnish(node, root, logins * rounds + CONNECTIONS)
        kept = [await keep.enter_async_context(desk.dial()) for desk in desks[:CONNECTIONS]]
        await lists_per_cpu_s(node, kept, 1.0)  # the logins themselves are not counted
        database = EmbeddedPostgres(DatabaseSettings(state_dir=node.state_dir), SystemClock())
        dsn = await database.start(may_restart=False)
        found = Samples([], [], [])
        for number in range(rounds):
            first = CONNECTIONS + number * logins
            found.login_list_ms.append(await fresh_logins(desks[first : first + logins]))
            found.list_per_cpu_s.append(await lists_per_cpu_s(node, kept, round_s))
            found.query_per_cpu_s.append(
                await asyncio.to_thread(queries_per_cpu_s, dsn, desks[0].user_id, round_s)
            )
    return found


def main() -> None:
    """Measure and write bench/results/broker.json."""
    parser = options.parser(__doc__, rounds=ROUNDS)
    parser.add_argument("--logins", type=int, default=LOGINS)
    parser.add_argument("--round-s", type=float, default=ROUND_S)
    arguments = parser.parse_args()
    wanted = options.Options.of(arguments)
    raw = run(measure(arguments.logins, wanted.rounds, arguments.round_s))
    lists, queries = median(raw.list_per_cpu_s), median(raw.query_per_cpu_s)
    figures = {
        **against_floor("list_per_cpu_s", lists, queries),
        "login_list_p99_ms": median([percentile(one, 0.99) for one in raw.login_list_ms]),
    }
    results_file.report("broker", figures, asdict(raw), wanted)


if __name__ == "__main__":
    main()
