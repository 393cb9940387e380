"""Finds and ends processes of a test's guest, from the host's side."""

import os
import signal
from pathlib import Path

from tests.harness.farm import Desk


def guest_pids(desk: Desk) -> list[int]:
    """Processes of the desk's guest, lowest (its PID 1) first: those that live on its root."""
    wanted = f"{desk.node.state_dir}/vms/{desk.vm_id}/"
    return sorted(
        int(entry.name)
        for entry in Path("/proc").iterdir()
        if entry.name.isdigit() and wanted in root_mount(entry)
    )


def root_mount(process: Path) -> str:
    """The line of mountinfo for what the process sees as /; empty for one that has gone."""
    try:
        lines = (process / "mountinfo").read_text().splitlines()
        alive = (process / "cmdline").read_bytes()
    except OSError:
        return ""
    roots = [line for line in lines if line.split()[4] == "/"]
    return roots[-1] if roots and alive else ""


def kill_display(desk: Desk) -> None:
    """Kill the guest's nxagent, as a crash would."""
    for pid in guest_pids(desk):
        if Path(f"/proc/{pid}/comm").read_text().strip() == "nxagent":
            os.kill(pid, signal.SIGKILL)
            return
    raise AssertionError("the guest has no nxagent")
