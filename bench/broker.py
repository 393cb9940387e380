"""What the broker costs: lists per processor second of the node, and the time of a fresh login.

Lists go over kept TLS connections, each logged in once; the list is read from the database every
time. Fresh logins come at 20 a second, each a new TLS connection of another user who has not
logged in before, so that its password is really checked. A round is both.
"""

import argparse
import asyncio
import os
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from bench import results_file
from bench.desk_node import percentile
from bench.results_file import median
from tests.fixtures_image import build_if_missing
from tests.harness.farm import Desk, furnish
from tests.harness.node import NodeProcess, running_node, test_root
from tests.harness.qvd import QvdConnection

CONNECTIONS: Final = 16
ROUNDS: Final = 5
ROUND_S: Final = 4.0
LOGINS: Final = 200
"""Of each round: the p99 then is the third slowest."""
LOGINS_PER_S: Final = 20.0


@dataclass(frozen=True, slots=True)
class Samples:
    """What the rounds gave."""

    list_per_cpu_s: list[float]
    login_list_ms: list[list[float]]


def cpu_s(node: NodeProcess) -> float:
    """Processor time of the node's process so far."""
    assert node.process is not None
    fields = Path(f"/proc/{node.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def keep_listing(connection: QvdConnection, until_s: float) -> int:
    """List over one connection until that moment; how often."""
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


async def login_ms(desk: Desk, at_s: float) -> float:
    """At that moment: dial, log in, list, hang up; how long it took."""
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
        found = Samples([], [])
        for number in range(rounds):
            first = CONNECTIONS + number * logins
            found.login_list_ms.append(await fresh_logins(desks[first : first + logins]))
            found.list_per_cpu_s.append(await lists_per_cpu_s(node, kept, round_s))
    return found


def main() -> None:
    """Measure and write bench/results/broker.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--logins", type=int, default=LOGINS)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--round-s", type=float, default=ROUND_S)
    parser.add_argument("--dry", action="store_true", help="print, write nothing")
    arguments = parser.parse_args()
    raw = asyncio.run(measure(arguments.logins, arguments.rounds, arguments.round_s))
    figures = {
        "list_per_cpu_s": median(raw.list_per_cpu_s),
        "login_list_p99_ms": median([percentile(one, 0.99) for one in raw.login_list_ms]),
    }
    if arguments.dry:
        results_file.show("broker", figures)
    else:
        results_file.write("broker", figures, asdict(raw))


if __name__ == "__main__":
    main()
