"""How fast a node fetches an image from another one: the share of what the link or the disk gives.

Two real nodes in network namespaces, the link between them limited by the kernel (tbf). The IceWM
image is fetched as for a first desktop; fsync is on.

first_pull_s         from the question to the version being in the store, by the node's own log
first_pull_link_pct  the longer one of both floors, over that
first_pull_link_s    a plain TCP connection sends as many bytes over the same link
first_pull_disk_s    as many bytes are written to the same disk and synced
"""

import asyncio
import os
import shutil
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from bench import options, results_file
from bench.options import Options
from bench.results_file import median
from bench.running import run
from tests.e2e.two_nodes import serve
from tests.fixtures_image import build_if_missing, kept_store
from tests.harness.farm import lend_image
from tests.harness.farm_network import running_farm
from tests.harness.node import NodeProcess

ROUNDS = 3
RATE = "500mbit"
PORT = 9_099
PIECE = 1 << 20
SENDER = f"""
import socket, sys
server = socket.create_server((sys.argv[1], {PORT}))
print("ready", flush=True)
connection, _ = server.accept()
left, piece = int(sys.argv[2]), bytes({PIECE})
while left:
    sent = connection.send(piece[:left])
    left -= sent
connection.close()
"""
RECEIVER = f"""
import socket, sys, time
began = time.perf_counter()
connection = socket.create_connection((sys.argv[1], {PORT}))
got = 0
while data := connection.recv({PIECE}):
    got += len(data)
print(time.perf_counter() - began, got, flush=True)
"""


@dataclass(slots=True)
class Round:
    """What one fetch took, beside its floors."""

    pull_s: float
    link_s: float
    disk_s: float
    size_bytes: int


def limit(node: NodeProcess) -> None:
    """Let the node send no faster."""
    command = ["ip", "netns", "exec", node.netns, "tc", "qdisc", "add", "dev", "eth0", "root",
               "tbf", "rate", RATE, "burst", "1mb", "latency", "50ms"]  # fmt: skip
    subprocess.run(command, check=True)


def plain_copy_s(source: NodeProcess, target: NodeProcess, size: int) -> float:
    """The time that a plain connection takes for so many bytes."""
    enter = ["ip", "netns", "exec"]
    with subprocess.Popen(
        [*enter, source.netns, sys.executable, "-c", SENDER, source.host, str(size)],
        stdout=subprocess.PIPE,
    ) as sender:
        assert sender.stdout is not None
        sender.stdout.readline()
        done = subprocess.run(
            [*enter, target.netns, sys.executable, "-c", RECEIVER, source.host],
            check=True, capture_output=True, text=True,
        )  # fmt: skip
    took, got = done.stdout.split()
    assert int(got) == size
    return float(took)


def disk_s(folder: Path, size: int) -> float:
    """The time to write so many bytes and have them on the disk."""
    path, piece = folder / "floor", os.urandom(PIECE)
    began = time.perf_counter()
    with path.open("wb") as file:
        for start in range(0, size, PIECE):
            file.write(piece[: size - start])
        file.flush()
        os.fsync(file.fileno())
    took = time.perf_counter() - began
    path.unlink()
    return took


async def one_round(here: NodeProcess, there: NodeProcess) -> Round:
    """Fetch the image to a node that has nothing."""
    images = there.state_dir / "images"
    for path in images.iterdir():
        shutil.rmtree(path)
    before = len(there.events("image_fetched"))
    async with there.rest() as rest:
        version = (await rest.get("/images/icewm"))["head_version"]
        await rest.get(f"/images/icewm/diff?old={version}&new={version}")
    fetched = there.events("image_fetched")[before:]
    (event,) = fetched
    size = int(event["bytes"])
    link = await asyncio.to_thread(plain_copy_s, here, there, size)
    disk = await asyncio.to_thread(disk_s, there.state_dir, size)
    return Round(float(event["seconds"]), link, disk, size)


async def measure(wanted: Options) -> None:
    """Some fetches, each to an empty store."""
    root = build_if_missing()
    kept_store(root)
    async with running_farm(2, node={"stop_guests": True}) as farm:
        here, there = farm.nodes
        await serve(farm.nodes)
        async with here.rest() as rest:
            await lend_image(here, rest, "icewm", root)
        limit(here)
        rounds = [await one_round(here, there) for _ in range(wanted.rounds)]
    results_file.report(
        "image_pull",
        {
            "first_pull_s": median([one.pull_s for one in rounds]),
            "first_pull_link_s": median([one.link_s for one in rounds]),
            "first_pull_disk_s": median([one.disk_s for one in rounds]),
            "first_pull_link_pct": median(
                [100 * max(one.link_s, one.disk_s) / one.pull_s for one in rounds]
            ),
        },
        [asdict(one) for one in rounds],
        wanted,
    )


if __name__ == "__main__":
    run(measure(options.parsed(__doc__, rounds=ROUNDS)))
