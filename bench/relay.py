"""Compares the relay with HAProxy with one thread: same certificate and cipher, TLS to plain TCP.

Both run pinned to one core and the load to another; all connections stay open. A round measures
both in many short turns, in changing order, since the machine's speed drifts within a second. A
figure is the median of the ratios of all rounds. Bulk goes from display to client over 4 streams;
round trips are 1 KiB in each direction on 100 streams.
"""

import os
import resource
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Final

from bench import options, results_file
from bench.desk_node import percentile
from bench.relay_load import Displays, Opening, Pairs, bulk, open_pairs, round_trips
from bench.results_file import Figure, median
from bench.serving import free_port, wait_for_port
from qvdnode.runtime.clock import SystemClock
from qvdnode.tls.identity import CERTIFICATE_FILE, KEY_FILE, NodeIdentity

BULK: Final = range(1, 5)
"""The streams that carry much; each stream shows another desktop."""
TURNS: Final = 10
"""Of each relay in a round."""
BULK_BYTES: Final = 64 << 20
"""In a turn, as the next."""
TRIPS: Final = range(101, 201)
"""The streams of the round trips."""
TRIPS_EACH: Final = 25
ROUNDS: Final = 15
HAPROXY: Final = """
global
  nbthread 1
  maxconn 2000
defaults
  mode tcp
  timeout connect 5s
  timeout client 60s
  timeout server 60s
listen relay
  bind 127.0.0.1:{port} ssl crt {certificate}
  server display 127.0.0.1:{display}
"""


@dataclass(frozen=True, slots=True)
class Round:
    """What one relay did in one round."""

    bytes_per_s: float
    bulk_cpu_s: float
    round_trips_per_s: float
    trips_cpu_s: float
    p50_ms: float
    p99_ms: float


def qvd_opening(number: int) -> bytes:
    """The request by which a client of ours gets to its stream."""
    return (
        f"GET /qvd/connect_to_vm?id={number} HTTP/1.1\r\n"
        "Authorization: Basic YWxpY2VAYWNtZTpzZWNyZXQ=\r\n"
        "Connection: Upgrade\r\nUpgrade: QVD/1.0\r\n\r\n"
    ).encode()


def no_opening(_number: int) -> bytes:
    """A plain relay wants none."""
    return b""


def cpu_s(pid: int) -> float:
    """Processor time of a process of one thread so far."""
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9


@dataclass(frozen=True, slots=True)
class Found:
    """What a run gave."""

    cipher: str
    """What every connection spoke."""
    rounds: list[tuple[Round, Round]]
    """Ours and HAProxy's."""


@dataclass(frozen=True, slots=True)
class Subject:
    """A relay under test with its open streams."""

    pid: int
    bulk: Pairs
    trips: Pairs


@dataclass(slots=True)
class Turns:
    """What the turns of one relay in one round add up to."""

    bulk_bytes: int = 0
    bulk_s: float = 0.0
    bulk_cpu_s: float = 0.0
    trips_s: float = 0.0
    trips_cpu_s: float = 0.0
    times_s: list[float] = field(default_factory=list)
    """Of every round trip."""

    def add(self, relay: Subject, size: float) -> None:
        """Take one more turn."""
        wanted = int(BULK_BYTES * size)
        before = cpu_s(relay.pid)
        self.bulk_s += wanted / bulk(relay.bulk, wanted)
        self.bulk_cpu_s += cpu_s(relay.pid) - before
        self.bulk_bytes += wanted
        before = cpu_s(relay.pid)
        rate, times = round_trips(relay.trips, int(TRIPS_EACH * size))
        self.trips_cpu_s += cpu_s(relay.pid) - before
        self.trips_s += len(times) / rate
        self.times_s += times

    def round(self) -> Round:
        """The round's figures."""
        return Round(
            bytes_per_s=self.bulk_bytes / self.bulk_s,
            bulk_cpu_s=self.bulk_cpu_s,
            round_trips_per_s=len(self.times_s) / self.trips_s,
            trips_cpu_s=self.trips_cpu_s,
            p50_ms=percentile(self.times_s, 0.5) * 1e3,
            p99_ms=percentile(self.times_s, 0.99) * 1e3,
        )


def one_round(ours: Subject, theirs: Subject, size: float) -> tuple[Round, Round]:
    """Both relays, turn by turn."""
    found = (Turns(), Turns())
    for number in range(TURNS):
        pair = [(found[0], ours), (found[1], theirs)]
        for turns, relay in pair if number % 2 else reversed(pair):
            turns.add(relay, size)
    return found[0].round(), found[1].round()


@contextmanager
def program(arguments: list[str], port: int) -> Iterator[int]:
    """A relay running on the first core; its process id."""
    pinned = ["taskset", "-c", "0", *arguments]
    with subprocess.Popen(pinned) as child:
        try:
            wait_for_port(port)
            yield child.pid
        finally:
            child.terminate()


def make_certificate(folder: Path) -> Path:
    """The node's own kind of certificate; key and certificate also in one file, for HAProxy."""
    NodeIdentity(folder, SystemClock()).ensure(["localhost"])
    path = folder / "haproxy.pem"
    path.write_bytes((folder / KEY_FILE).read_bytes() + (folder / CERTIFICATE_FILE).read_bytes())
    return path


@contextmanager
def subject(
    arguments: list[str], port: int, displays: Displays, opening: Opening
) -> Iterator[Subject]:
    """A relay that runs, with streams through it."""
    with program(arguments, port) as pid:
        bulk_pairs = open_pairs(port, displays, BULK, opening)
        trip_pairs = open_pairs(port, displays, TRIPS, opening)
        try:
            yield Subject(pid, bulk_pairs, trip_pairs)
        finally:
            bulk_pairs.close()
            trip_pairs.close()


def ciphers(relay: Subject) -> set[str]:
    """What all the relay's connections speak."""
    clients = [*relay.bulk.clients, *relay.trips.clients]
    return {f"{client.tls.version()} {client.tls.cipher()}" for client in clients}


@contextmanager
def relays() -> Iterator[tuple[Subject, Subject]]:
    """Ours and HAProxy, side by side."""
    displays = Displays()
    with tempfile.TemporaryDirectory() as name:
        certificate = make_certificate(Path(name))
        ports = (free_port(), free_port())
        config = Path(name) / "haproxy.cfg"
        config.write_text(
            HAPROXY.format(port=ports[1], certificate=certificate, display=displays.port)
        )
        server = [sys.executable, "-m", "bench.relay_server"]
        server += [name, str(ports[0]), str(displays.port)]
        haproxy = [shutil.which("haproxy", path="/usr/sbin:/usr/bin") or "haproxy"]
        haproxy += ["-db", "-f", str(config)]
        with (
            subject(server, ports[0], displays, qvd_opening) as ours,
            subject(haproxy, ports[1], displays, no_opening) as theirs,
        ):
            yield ours, theirs


def run(rounds: int, size: float) -> Found:
    """Rounds of both relays."""
    with relays() as (ours, theirs):
        spoken = ciphers(ours) | ciphers(theirs)
        if len(spoken) != 1:
            raise AssertionError(f"the relays do not speak alike: {spoken}")
        found = [one_round(ours, theirs, size) for _ in range(rounds)]
    return Found(spoken.pop(), found)


def ratio(found: Found, field: str) -> Figure:
    """Ours over HAProxy's, round by round."""
    return median([getattr(ours, field) / getattr(theirs, field) for ours, theirs in found.rounds])


def main() -> None:
    """Measure and write bench/results/relay.json."""
    parser = options.parser(__doc__, rounds=ROUNDS, quick_rounds=3)
    parser.add_argument("--size", type=float, default=1.0, help="share of the full load")
    arguments = parser.parse_args()
    wanted = options.Options.of(arguments)
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(files, 65_536), files))
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    found = run(wanted.rounds, arguments.size)
    print(
        f"{'':8} {'MB/s':>8} {'CPU s':>6} {'trips/s':>8} {'CPU s':>6} {'p50 ms':>7} {'p99 ms':>7}"
    )
    for pair in found.rounds:
        for name, one in zip(("ours", "haproxy"), pair, strict=True):
            print(
                f"{name:8} {one.bytes_per_s / 1e6:8.0f} {one.bulk_cpu_s:6.2f}"
                f" {one.round_trips_per_s:8.0f} {one.trips_cpu_s:6.2f}"
                f" {one.p50_ms:7.2f} {one.p99_ms:7.2f}"
            )
    figures = {
        "throughput_ratio": ratio(found, "bytes_per_s"),
        "rps_ratio": ratio(found, "round_trips_per_s"),
        "p99_ratio": ratio(found, "p99_ms"),
    }
    raw = [{"ours": asdict(ours), "haproxy": asdict(theirs)} for ours, theirs in found.rounds]
    results_file.report("relay", figures, {"cipher": found.cipher, "rounds": raw}, wanted)


if __name__ == "__main__":
    main()
