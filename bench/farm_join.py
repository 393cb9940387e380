"""A new host joins a farm: from `qvdnode join` to the first desktop that it serves.

A node in a network namespace of its own with the farm's database and an image; each round one more
host, with nothing on it. A round begins with the invitation; it ends when a client of the new node
is connected to a desktop that was started there. Figures:

serving_s           until the new node serves
join_to_desktop_s   until its first desktop is there (goal 10); the image comes from the other node
"""

import asyncio
import os
import time
from typing import Any, Final

from bench import options, results_file
from bench.results_file import median
from tests.fixtures_image import build_if_missing
from tests.harness.farm import lend_image, make_desk, make_flavour
from tests.harness.farm_network import Farm, running_farm
from tests.harness.rest import Rest

ROUNDS: Final = 3


async def joined(farm: Farm, rest: Rest, flavour: int, number: int) -> dict[str, float]:
    """One more node, and a desktop on it."""
    desk = await make_desk(farm.nodes[0], rest, f"user{number}", flavour)
    began_s = time.monotonic()
    node = await farm.add()
    serving_s = time.monotonic() - began_s
    async with node.rest() as own:
        (row,) = (item for item in (await own.get("/nodes"))["items"] if item["here"])
        # or placement takes whichever node is better
        await own.call("PUT", f"/users/{desk.user_id}/home", {"node_id": row["id"]})
        async with desk.dial(at=node) as connection:
            answer = await connection.connect(desk.vm_id, link="lan", geometry="800x600")
        took_s = time.monotonic() - began_s
        view = await own.get(f"/vms/{desk.vm_id}")
    if (answer.status, view["node"]) != (101, row["name"]):
        raise AssertionError(f"no desktop on the new node: {answer}, {view}")
    return {"serving_s": round(serving_s, 3), "join_to_desktop_s": round(took_s, 3)}


async def run(rounds: int) -> list[dict[str, float]]:
    """The samples of each round."""
    root = await asyncio.to_thread(build_if_missing)
    async with running_farm(1, node={"stop_guests": True}) as farm:
        first = farm.nodes[0]
        async with first.rest() as rest:
            await lend_image(first, rest, "icewm", root)
            flavour = await make_flavour(rest, "office", "icewm", memory_mib=256)
            return [await joined(farm, rest, flavour, number) for number in range(rounds)]


def main() -> None:
    """Measure and write bench/results/farm_join.json."""
    wanted, load = options.parsed(__doc__, rounds=ROUNDS), os.getloadavg()
    samples = asyncio.run(run(wanted.rounds))
    figures = {key: median([one[key] for one in samples]) for key in samples[0]}
    raw: dict[str, Any] = {
        "samples": samples,
        "load_before": load,
        "load_after": os.getloadavg(),
    }
    results_file.report("farm_join", figures, raw, wanted)


if __name__ == "__main__":
    main()
