"""A relay over two nodes against one node that relays to its own display.

The node that clients dial runs on one core in both cases. The node of the desktops shares the other
core with the load, as there are two; the raw samples have the processor time of the first one, too.
A round asks both in many short turns, the one or the other first; a figure is the median over all
rounds. Bulk is from display to client over 4 streams. The time that a hop adds is that of 1 KiB
there and back on one stream, without other load.
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Final

from bench import options, results_file
from bench.desk_node import percentile
from bench.relay import (
    Round,
    Subject,
    ciphers,
    make_certificate,
    one_round,
    qvd_opening,
    subject,
)
from bench.relay_load import Displays, Pairs, round_trips
from bench.results_file import Figure, median
from bench.serving import free_port, wait_for_port

ROUNDS: Final = 11
LONE_TRIPS: Final = 400


@contextmanager
def owner(folder: Path, display_port: int) -> Iterator[int]:
    """The node of the desktops, on the core of the load; its port for peers."""
    port = free_port()
    core = str(max(os.sched_getaffinity(0)))
    command = [sys.executable, "-m", "bench.farm_server", "owner", str(folder), str(port)]
    with subprocess.Popen(["taskset", "-c", core, *command, str(display_port)]) as child:
        try:
            wait_for_port(port)
            yield port
        finally:
            child.terminate()


@contextmanager
def subjects() -> Iterator[tuple[Subject, Subject]]:
    """One node, and two."""
    displays = Displays()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_certificate(folder)
        ports = (free_port(), free_port())
        module = [sys.executable, "-m"]
        one = [*module, "bench.relay_server", name, str(ports[0]), str(displays.port)]
        with owner(folder, displays.port) as peer_port:
            two = [*module, "bench.farm_server", "entry", name, str(ports[1]), str(peer_port)]
            with (
                subject(one, ports[0], displays, qvd_opening) as alone,
                subject(two, ports[1], displays, qvd_opening) as hop,
            ):
                yield alone, hop


def lone_p50_ms(relay: Subject) -> float:
    """The median time of a round trip on one stream without other load."""
    pairs = Pairs(relay.trips.clients[:1], relay.trips.displays[:1])
    return percentile(round_trips(pairs, LONE_TRIPS)[1], 0.5) * 1e3


def main() -> None:
    """Measure and write bench/results/farm.json."""
    parser = options.parser(__doc__, rounds=ROUNDS, quick_rounds=2)
    parser.add_argument("--size", type=float, default=1.0, help="share of the full load")
    arguments = parser.parse_args()
    wanted = options.Options.of(arguments)
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    rounds: list[tuple[Round, Round]] = []
    added_ms: list[float] = []
    with subjects() as (alone, hop):
        spoken = ciphers(alone) | ciphers(hop)
        if len(spoken) != 1:
            raise AssertionError(f"the relays do not speak alike: {spoken}")
        for _ in range(wanted.rounds):
            rounds.append(one_round(alone, hop, arguments.size))
            added_ms.append(lone_p50_ms(hop) - lone_p50_ms(alone))
    print(f"{'':6} {'MB/s':>8} {'CPU s':>6} {'trips/s':>8} {'p50 ms':>7}")
    for pair in rounds:
        for name, found in zip(("one", "two"), pair, strict=True):
            print(
                f"{name:6} {found.bytes_per_s / 1e6:8.0f} {found.bulk_cpu_s:6.2f}"
                f" {found.round_trips_per_s:8.0f} {found.p50_ms:7.2f}"
            )
    figures = {
        "relay_ratio": ratio(rounds),
        "relay_added_p50_ms": median(added_ms),
    }
    raw = [{"one": asdict(one), "two": asdict(two)} for one, two in rounds]
    load = os.getloadavg()[0]
    results_file.report(
        "farm", figures, {"cipher": spoken.pop(), "load": load, "rounds": raw}, wanted
    )


def ratio(rounds: list[tuple[Round, Round]]) -> Figure:
    """Bulk over two nodes, over that of one, round by round."""
    return median([two.bytes_per_s / one.bytes_per_s for one, two in rounds])


if __name__ == "__main__":
    main()
