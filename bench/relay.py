"""Our relay against HAProxy with one thread: same certificate and cipher, TLS in front, TCP behind.

Both run pinned to one core, the load to another. Rounds are interleaved; a figure is the ratio of
the medians over all rounds. Bulk is from display to client over 4 streams; round trips are 1 KiB
there and back on 100 streams.
"""

import argparse
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from bench import results_file
from bench.desk_node import percentile
from bench.relay_load import Displays, Opening, bulk, open_pairs, round_trips
from bench.serving import free_port, wait_for_port
from qvdnode.tls.certificate import key_pem, new_key, self_signed

BULK_STREAMS: Final = 4
BULK_BYTES: Final = 1 << 30
STREAMS: Final = 100
TRIPS_EACH: Final = 500
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
    """Processor time of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def measure(pid: int, port: int, displays: Displays, opening: Opening, size: float) -> Round:
    """One round against the relay at that port."""
    pairs = open_pairs(port, displays, BULK_STREAMS, opening)
    before = cpu_s(pid)
    speed = bulk(pairs, int(BULK_BYTES * size))
    bulk_cpu = cpu_s(pid) - before
    pairs.close()
    pairs = open_pairs(port, displays, STREAMS, opening)
    before = cpu_s(pid)
    rate, times = round_trips(pairs, int(TRIPS_EACH * size))
    trips_cpu = cpu_s(pid) - before
    pairs.close()
    return Round(
        bytes_per_s=speed,
        bulk_cpu_s=bulk_cpu,
        round_trips_per_s=rate,
        trips_cpu_s=trips_cpu,
        p50_ms=percentile(times, 0.5) * 1e3,
        p99_ms=percentile(times, 0.99) * 1e3,
    )


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
    """Key and certificate in one file, as HAProxy wants them."""
    key = new_key()
    path = folder / "bench.pem"
    path.write_bytes(key_pem(key) + self_signed(key, ["localhost"], [], datetime.now(UTC)))
    return path


def run(rounds: int, size: float) -> dict[str, list[Round]]:
    """Interleaved rounds of both relays."""
    displays = Displays()
    found: dict[str, list[Round]] = {"ours": [], "haproxy": []}
    with tempfile.TemporaryDirectory() as name:
        certificate = make_certificate(Path(name))
        ports = {"ours": free_port(), "haproxy": free_port()}
        config = Path(name) / "haproxy.cfg"
        config.write_text(
            HAPROXY.format(port=ports["haproxy"], certificate=certificate, display=displays.port)
        )
        server = [sys.executable, "-m", "bench.relay_server"]
        server += [str(certificate), str(ports["ours"]), str(displays.port)]
        haproxy = [shutil.which("haproxy", path="/usr/sbin:/usr/bin") or "haproxy"]
        haproxy += ["-db", "-f", str(config)]
        with program(server, ports["ours"]) as ours, program(haproxy, ports["haproxy"]) as theirs:
            for _ in range(rounds):
                found["ours"].append(measure(ours, ports["ours"], displays, qvd_opening, size))
                found["haproxy"].append(
                    measure(theirs, ports["haproxy"], displays, no_opening, size)
                )
    return found


def ratio(found: dict[str, list[Round]], field: str) -> float:
    """Median of ours over the median of HAProxy."""
    ours = statistics.median(getattr(one, field) for one in found["ours"])
    theirs = statistics.median(getattr(one, field) for one in found["haproxy"])
    return float(ours / theirs)


def main() -> None:
    """Measure and write bench/results/relay.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--size", type=float, default=1.0, help="share of the full load")
    parser.add_argument("--dry", action="store_true", help="print, write nothing")
    arguments = parser.parse_args()
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(files, 65_536), files))
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    found = run(arguments.rounds, arguments.size)
    print(
        f"{'':8} {'MB/s':>8} {'CPU s':>6} {'trips/s':>8} {'CPU s':>6} {'p50 ms':>7} {'p99 ms':>7}"
    )
    for name, rounds in found.items():
        for one in rounds:
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
    if arguments.dry:
        print(figures)
        return
    raw = {name: [asdict(one) for one in rounds] for name, rounds in found.items()}
    results_file.write("relay", figures, raw)


if __name__ == "__main__":
    main()
