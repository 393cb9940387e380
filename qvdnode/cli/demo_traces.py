"""Looks whether anything of a demo is left on the running system after its node has ended."""
# tested-by: tests/e2e/test_demo.py

import os
from pathlib import Path
from typing import Final

from qvdnode.cli.demo_plan import DemoPlan
from qvdnode.host import links, mounts
from qvdnode.host.forwarding import HOLDER, RECORDS
from qvdnode.net.core import names
from qvdnode.net.nft import Nft
from qvdnode.runtime.clock import Clock

PATIENCE_S: Final = 5.0
LOOK_AGAIN_S: Final = 0.1


async def left_by(plan: DemoPlan, clock: Clock) -> list[str]:
    """What is left, a phrase each; empty when all is gone, as it may be after a moment."""
    deadline_s = clock.monotonic_s() + PATIENCE_S
    while True:
        found = await _found(plan)
        if not found or clock.monotonic_s() > deadline_s:
            return found
        await clock.sleep(LOOK_AGAIN_S)


async def _found(plan: DemoPlan) -> list[str]:
    found = [f"mount {point}" for point in mounts.under(plan.state_dir)]
    found += [
        f"network link {link.name}"
        for link in await links.all_links()
        if link.name == names.bridge_name(plan.prefix)
        or names.is_guest_link(plan.prefix, link.name)
    ]
    tables = await Nft().listing({"tables": None})
    found += [
        f"packet rules {item['table']['family']} {item['table']['name']}"
        for item in tables
        if item.get("table", {}).get("name") == names.table_name(plan.prefix)
    ]
    if (RECORDS / f"{HOLDER}{plan.prefix}").exists():
        found.append("a hold on IPv4 forwarding")
    found += [f"process {pid} ({name})" for pid, name in _processes(plan.state_dir)]
    return found


def _processes(state_dir: Path) -> list[tuple[int, str]]:
    """Processes that name the state folder on their command line, but for us."""
    word = os.fsencode(state_dir) + b"/"
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            line = (folder / "cmdline").read_bytes()
        except OSError:
            continue
        if word in line and int(folder.name) != os.getpid():
            found.append(
                (int(folder.name), line.replace(b"\0", b" ").decode(errors="replace")[:80])
            )
    return found
