"""Looks whether anything of a demo is left on the running system after its node has ended."""

import os
from pathlib import Path
from typing import Final

from qvdnode.cli.demo.farm_plan import FarmPlan, farm_of
from qvdnode.cli.demo.plan import DemoPlan
from qvdnode.host import forwarding, kernel_limits, links, mounts
from qvdnode.host.shared_sysctls import HOLDER
from qvdnode.net.core import names
from qvdnode.net.nft import Nft
from qvdnode.runtime.clock import Clock

PATIENCE_S: Final = 5.0
LOOK_AGAIN_S: Final = 0.1


async def left_by(plan: DemoPlan, clock: Clock) -> list[str]:
    """What is left, a phrase each; empty when all is gone, as it may be after a moment.

    That is of a demo of one node, and of one of several nodes in the same folder.
    """
    deadline_s = clock.monotonic_s() + PATIENCE_S
    farm = farm_of(plan)
    while True:
        found = await _found(plan) + await _found_of_farm(farm)
        if not found or clock.monotonic_s() > deadline_s:
            return found
        await clock.sleep(LOOK_AGAIN_S)


async def _found_of_farm(farm: FarmPlan) -> list[str]:
    found = [f"network link {it.name}" for it in await links.all_links() if it.name == farm.link]
    for member in farm.members:
        if member.state_dir.exists():
            found += await _found(member)
    return found


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
    if (forwarding.RECORDS / f"{HOLDER}{plan.prefix}").exists():
        found.append("a hold on IPv4 forwarding")
    if (kernel_limits.RECORDS / f"{HOLDER}{plan.prefix}").exists():
        found.append("a hold on limits of the kernel")
    found += [f"process {pid} ({name})" for pid, name in processes_of(plan)]
    return found


def processes_of(plan: DemoPlan) -> list[tuple[int, str]]:
    """Pid and command of processes that only this demo can have started."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            line = (folder / "cmdline").read_bytes()
        except OSError:
            continue
        if is_ours(line, plan):
            found.append(
                (int(folder.name), line.replace(b"\0", b" ").decode(errors="replace")[:80])
            )
    return found


def is_ours(line: bytes, plan: DemoPlan) -> bool:
    """Whether a command line, as the kernel keeps it, is of a program that only this demo starts.

    That it names the state folder is not enough: so do the make and sudo above us, and whoever
    looks into the log.
    """
    phrases = (
        f"-D\0{plan.state_dir}/pg/",
        f"[lxc monitor] {plan.state_dir}/lxc/",
        f"qvdnode.image.unpack\0{plan.state_dir}/",
        f"qvdnode.daemon.watchdog\0{plan.state_dir}/",
        f"{plan.build_folder}/",
    )
    return (
        plan.is_node(line)
        or farm_of(plan).is_keeper(line)
        or any(os.fsencode(phrase) in line for phrase in phrases)
    )
