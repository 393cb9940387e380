"""What the broker costs: lists per processor second of the node, and the time of a fresh login.

Lists go over kept TLS connections, each logged in once; the list is read from the database every
time. Fresh logins come at 20 a second, each a new TLS connection of another user who has not
logged in before, so that its password is really checked.
"""

import argparse
import asyncio
import os
import statistics
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from bench import results_file
from bench.desk_node import percentile
from tests.fixtures_image import build_if_missing
from tests.harness.farm import Desk, furnish
from tests.harness.node import NodeProcess, running_node, test_root

CONNECTIONS: Final = 16
ROUNDS: Final = 5
ROUND_S: Final = 4.0
LOGINS: Final = 300
LOGINS_PER_S: Final = 20.0


def cpu_s(node: NodeProcess) -> float:
    """Processor time of the node's process so far."""
    assert node.process is not None
    fields = Path(f"/proc/{node.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def keep_listing(desk: Desk, until_s: float) -> int:
    """List over one connection until that moment; how often."""
    count = 0
    async with desk.dial() as connection:
        while time.monotonic() < until_s:
            answer = await connection.ask("/qvd/list_of_vm")
            if answer.status != 200 or not answer.body.startswith(b'[{"id"'):
                raise AssertionError(f"{answer.status} {answer.body!r}")
            count += 1
    return count


async def lists_per_cpu_s(node: NodeProcess, desks: Sequence[Desk], round_s: float) -> float:
    """Answers per processor second of the node, in one round."""
    before, end_s = cpu_s(node), time.monotonic() + round_s
    counts = await asyncio.gather(*(keep_listing(desk, end_s) for desk in desks))
    return sum(counts) / (cpu_s(node) - before)


async def login_ms(desk: Desk, at_s: float) -> float:
    """At that moment: dial, log in, list, hang up; how long it took."""
    await asyncio.sleep(max(0.0, at_s - time.monotonic()))
    async with desk.dial() as connection:
        answer = await connection.ask("/qvd/list_of_vm")
    if answer.status != 200:
        raise AssertionError(f"{desk.login}: {answer.status} {answer.body!r}")
    return (time.monotonic() - at_s) * 1e3


async def measure(logins: int, rounds: int, round_s: float) -> dict[str, list[float]]:
    """All samples, against a node of its own."""
    root = await asyncio.to_thread(build_if_missing)
    async with running_node(test_root()) as node:
        desks = await furnish(node, root, logins + CONNECTIONS)
        begin_s = time.monotonic() + 1.0
        times = await asyncio.gather(
            *(
                login_ms(desk, begin_s + number / LOGINS_PER_S)
                for number, desk in enumerate(desks[CONNECTIONS:])
            )
        )
        kept = desks[:CONNECTIONS]
        await lists_per_cpu_s(node, kept, 1.0)  # the logins themselves are not counted
        rates = [await lists_per_cpu_s(node, kept, round_s) for _ in range(rounds)]
    return {"list_per_cpu_s": rates, "login_list_ms": list(times)}


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
        "list_per_cpu_s": statistics.median(raw["list_per_cpu_s"]),
        "login_list_p99_ms": percentile(raw["login_list_ms"], 0.99),
    }
    if arguments.dry:
        print(figures, raw["list_per_cpu_s"])
    else:
        results_file.write("broker", figures, raw)


if __name__ == "__main__":
    main()
