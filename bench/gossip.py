"""Compares qvdnode's membership with serf: 20 real processes each, together on one loopback.

Both are encrypted and use the same timing for a local network. In each round both are measured
idle, then lose 10 and 30 % of their packets; one process of each is stopped for three seconds, and
the main loop of one qvdnode member is blocked for eight; then some of each are killed, one by one.
After that the pure core runs with 1,000 members in virtual time, some of which are killed.
"""

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from bench import options, results_file
from bench.desk_node import percentile
from bench.gossip_groups import Driver, Group, our_group, serf_group, serf_program
from bench.gossip_meter import Meter, cpu_s, resident_mib
from bench.results_file import Figure, median, total
from tests.simulation.cluster.farm import Farm

NETWORKS: Final = {"ours": "127.0.1.", "serf": "127.0.2."}
SIZE: Final = 20
ROUNDS: Final = 2
KILLS: Final = 6
SETTLE_S: Final = 5.0
IDLE_S: Final = 60.0
"""Two of the intervals in which members exchange everything."""
LOSS_S: Final = 15.0
SIMULATED: Final = 1000
SIMULATED_KILLS: Final = 40


@dataclass(slots=True)
class Cost:
    """The cost of one member of a group while nothing happens."""

    udp_bytes_per_s: float
    udp_packets_per_s: float
    tcp_bytes_per_s: float
    cpu_pct: float
    resident_mib: float

    @property
    def bytes_per_s(self) -> float:
        """All of it."""
        return self.udp_bytes_per_s + self.tcp_bytes_per_s


@dataclass(slots=True)
class Round:
    """What one round gave for one group."""

    cost: Cost
    first_dead_s: list[float] = field(default_factory=list)
    """From a SIGKILL to the first survivor that reports it."""
    last_dead_s: list[float] = field(default_factory=list)
    false_deaths: int = 0
    """Reports of members as dead that were not killed; each member's report counts."""
    node_hours: float = 0.0


@contextmanager
def loss(pct: int) -> Iterator[None]:
    """Make the kernel drop this percentage of all UDP and TCP packets."""
    rule = f"meta l4proto {{ tcp, udp }} numgen random mod 100 < {pct} drop"
    table = f"table inet loss {{ chain in {{ type filter hook input priority 0\n{rule}\n}}\n}}"
    subprocess.run(["nft", "-f", "-"], input=table, text=True, check=True)
    try:
        yield
    finally:
        subprocess.run(["nft", "delete", "table", "inet", "loss"], check=True)


def idle(driver: Driver, meter: Meter, seconds: float) -> dict[str, Cost]:
    """Measure all groups while nothing happens."""
    before = {
        group.name: (
            meter.traffic(group.network),
            {number: cpu_s(process.pid) for number, process in group.processes.items()},
        )
        for group in driver.groups
    }
    began_s = time.monotonic()
    driver.run(seconds)
    passed_s = time.monotonic() - began_s
    costs = {}
    for group in driver.groups:
        traffic, cpu = before[group.name]
        sent = meter.traffic(group.network).less(traffic)
        used_s = sum(cpu_s(process.pid) - cpu[n] for n, process in group.processes.items())
        memory = [resident_mib(process.pid) for process in group.processes.values()]
        each = len(group.processes) * passed_s
        costs[group.name] = Cost(
            sent.udp_bytes / each,
            sent.udp_packets / each,
            sent.tcp_bytes / each,
            100 * used_s / each,
            sum(memory) / len(memory),
        )
    return costs


def disturb(driver: Driver, size: float) -> None:
    """Run all disturbances that must not make a member look dead."""
    for pct in (10, 30):
        with loss(pct):
            driver.run(LOSS_S * size)
    for group in driver.groups:
        driver.stand_still(group, SIZE // 2, 3.0)
        if group.name == "ours":
            pipe = group.processes[SIZE // 3].stdin
            if pipe is None:
                raise AssertionError
            pipe.write(b"block 8\n")
            pipe.flush()
    driver.run(12.0)


def kill_some(driver: Driver, rounds: dict[str, Round]) -> None:
    """Kill members of each group, one after another, and note who notices when."""
    for victim in range(SIZE - 1, SIZE - 1 - KILLS, -1):
        killed_s = {group.name: driver.kill(group, victim) for group in driver.groups}

        def noticed(group: Group, *, victim: int = victim, killed_s: Any = killed_s) -> Any:  # noqa: ANN401 - a pair or None
            return group.first_and_last_s(victim, killed_s[group.name])

        if not driver.run(90.0, lambda: all(noticed(group) for group in driver.groups)):
            raise TimeoutError("some survivor has not noticed a death in 90 s")
        for group in driver.groups:
            first_s, last_s = noticed(group)
            rounds[group.name].first_dead_s.append(first_s)
            rounds[group.name].last_dead_s.append(last_s)


def one_round(serf: str, meter: Meter, size: float) -> dict[str, Round]:
    """Start, measure, disturb and kill both groups."""
    groups = [our_group(NETWORKS["ours"]), serf_group(NETWORKS["serf"], serf)]
    driver = Driver(groups)
    try:
        driver.start(SIZE)
        if not driver.run(90.0, lambda: all(group.whole() for group in groups)):
            raise TimeoutError("the members did not find each other in 90 s")
        whole_s = time.monotonic()
        driver.run(SETTLE_S)
        rounds = {name: Round(cost) for name, cost in idle(driver, meter, IDLE_S * size).items()}
        disturb(driver, size)
        disturbed_s = time.monotonic()
        kill_some(driver, rounds)
    finally:
        driver.stop()
    for group in groups:
        rounds[group.name].node_hours = SIZE * (disturbed_s - whole_s) / 3600
        rounds[group.name].false_deaths = sum(
            seen.kind == "dead" and seen.subject < SIZE - KILLS for seen in group.seen
        )
    return rounds


def simulate(members: int, kills: int) -> dict[str, list[float]]:
    """Kill members of a large farm in virtual time: detection and spread of each, in seconds."""
    farm = Farm(members, 1)
    farm.start_joined()
    farm.run(5.0)
    killed_s: dict[str, float] = {}
    for host in farm.rng.sample(farm.running(), kills):
        farm.kill(host)
        killed_s[host.name] = farm.now_s
        farm.run(0.5)
    farm.run(30.0)
    detect, spread = [], []
    for name, when_s in killed_s.items():
        times = [
            said_s - when_s
            for said_s, observer, subject in farm.deaths()
            if subject == name and observer not in killed_s
        ]
        if len(times) != members - kills:
            raise AssertionError(f"only {len(times)} survivors noticed")
        detect.append(min(times))
        spread.append(max(times) - min(times))
    false = [death for death in farm.deaths() if death[2] not in killed_s]
    if false:
        raise AssertionError(f"false deaths in the simulation: {false[:3]}")
    return {"detect_s": detect, "spread_s": spread}


def figures(rounds: list[dict[str, Round]], simulated: dict[str, list[float]]) -> dict[str, Figure]:
    """What counts, with what each round alone says."""
    ours = [found["ours"] for found in rounds]
    serf = [found["serf"] for found in rounds]

    def p50(group: list[Round]) -> float:
        return percentile([second for found in group for second in found.first_dead_s], 0.5)

    ratios = [p50([mine]) / p50([theirs]) for mine, theirs in zip(ours, serf, strict=True)]
    return {
        "detect_p50_s": Figure(p50(ours), [p50([found]) for found in ours]),
        "detect_ratio": Figure(p50(ours) / p50(serf), ratios),
        "bytes_ratio": median(
            [
                mine.cost.bytes_per_s / theirs.cost.bytes_per_s
                for mine, theirs in zip(ours, serf, strict=True)
            ]
        ),
        "false_deaths": total([found.false_deaths for found in ours]),
        "node_hours": total([found.node_hours for found in ours]),
        "cpu_pct": median([found.cost.cpu_pct for found in ours]),
        "sim1000_detect_p99_s": Figure(
            percentile(simulated["detect_s"], 0.99), simulated["detect_s"]
        ),
        "sim1000_spread_p99_s": Figure(
            percentile(simulated["spread_s"], 0.99), simulated["spread_s"]
        ),
    }


def measure(serf: str, wanted: options.Options, size: float) -> None:
    """All of it, in a network namespace of its own."""
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    meter = Meter(*NETWORKS.values())
    found = []
    for number in range(wanted.rounds):
        found.append(one_round(serf, meter, size))
        print(number + 1, {name: asdict(one) for name, one in found[-1].items()}, flush=True)
    simulated = simulate(SIMULATED, SIMULATED_KILLS)
    raw = {
        "rounds": [{name: asdict(one) for name, one in each.items()} for each in found],
        "simulated": simulated,
    }
    results_file.report("gossip", figures(found, simulated), raw, wanted)


def main() -> int:
    """Measure, or say why not."""
    parser = options.parser(__doc__, rounds=ROUNDS)
    parser.add_argument("--size", type=float, default=1.0, help="of the waits; less is shorter")
    parser.add_argument("--serf", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serf:
        measure(arguments.serf, options.Options.of(arguments), arguments.size)
        return 0
    if os.geteuid() != 0:
        print("bench-gossip needs root, for a network namespace and packet loss", file=sys.stderr)
        return 1
    with serf_program() as serf:
        if serf is None:
            print("serf is not installed, and Debian's package cannot be fetched", file=sys.stderr)
            return 1
        inside = ["unshare", "-n", sys.executable, "-m", "bench.gossip", "--serf", serf]
        inside += sys.argv[1:]
        return subprocess.run(inside, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
