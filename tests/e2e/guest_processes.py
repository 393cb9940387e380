"""Finds and ends processes of a test's guest, from the host's side."""

import contextlib
import os
import signal
import subprocess
from collections.abc import Set
from pathlib import Path

from tests.harness.farm import Desk
from tests.waiting import until_sync


def guest_pids(desk: Desk) -> list[int]:
    """Processes of the desk's guest, its PID 1 first: those that live on its root.

    They are in the order of the guest's own numbers. The host's begin anew at 32,768 on many hosts.
    """
    wanted = f"{desk.node.state_dir}/vms/{desk.vm_id}/"
    found = [
        (own_number(entry), int(entry.name))
        for entry in Path("/proc").iterdir()
        if entry.name.isdigit() and wanted in root_mount(entry)
    ]
    return [pid for number, pid in sorted(found) if number]


def own_number(process: Path) -> int:
    """The number that a process has in its own namespace; 0 for one that has gone."""
    try:
        lines = (process / "status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[-1]) for line in lines if line.startswith("NSpid:")), 0)


def root_mount(process: Path) -> str:
    """The line of mountinfo for what the process sees as /; empty for one that has gone."""
    try:
        lines = (process / "mountinfo").read_text().splitlines()
        alive = (process / "cmdline").read_bytes()
    except OSError:
        return ""
    roots = [line for line in lines if line.split()[4] == "/"]
    return roots[-1] if roots and alive else ""


def named_pids(desk: Desk) -> list[tuple[int, str]]:
    """Processes of the desk's guest with their names, lowest first."""
    found = []
    for pid in guest_pids(desk):
        with contextlib.suppress(OSError):
            found.append((pid, Path(f"/proc/{pid}/comm").read_text().strip()))
    return found


def pids_by_name(desk: Desk, names: Set[str]) -> dict[str, int]:
    """The first process of the guest with each of these names.

    A program that starts another one has a child of its own name for a moment.
    """
    found: dict[str, int] = {}
    for pid, name in named_pids(desk):
        found.setdefault(name, pid)
    return {name: found[name] for name in names & found.keys()}


def kill_in_guest(desk: Desk, program: str, number: int = signal.SIGKILL) -> None:
    """Kill a program of the guest, as a crash would, or signal it, as soon as it runs."""
    found = until_sync(lambda: pids_by_name(desk, {program}), what=f"{program} to run")
    os.kill(found[program], number)


def in_guest(desk: Desk, command: str) -> str:
    """What a shell command says that the desk's user runs in the guest."""
    return _entered(desk, command, uid=1000)


def in_guest_charged(desk: Desk, command: str) -> None:
    """The same, in the guest's control groups, so that its limits hold; it may fail."""
    groups = Path(f"/proc/{guest_pids(desk)[0]}/cgroup").read_text(encoding="ascii").splitlines()
    mounted = Path("/sys/fs/cgroup")
    files = [
        mounted / (kinds.removeprefix("name=") or "unified") / group.lstrip("/") / "cgroup.procs"
        for _, kinds, group in (line.split(":", 2) for line in groups)
    ]
    joined = " ".join(str(file) for file in files if file.exists()) or str(
        mounted / groups[-1].split(":", 2)[2].lstrip("/") / "cgroup.procs"
    )
    join = f'for file in {joined}; do echo $$ >"$file"; done; exec "$@"'
    subprocess.run(
        ["sh", "-c", join, "sh", *_way_in(desk, command, uid=1000)],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        check=False, timeout=60,
    )  # fmt: skip


def in_guest_as_root(desk: Desk, command: str) -> str:
    """What a shell command says that the guest's own root runs."""
    return _entered(desk, command, uid=0)


def _entered(desk: Desk, command: str, *, uid: int) -> str:
    finished = subprocess.run(
        _way_in(desk, command, uid=uid), capture_output=True, text=True, check=True, timeout=30
    )
    return finished.stdout


def _way_in(desk: Desk, command: str, *, uid: int) -> list[str]:
    return [
        "nsenter", f"--target={guest_pids(desk)[0]}", "--user", "--mount", "--pid",
        f"--setuid={uid}", f"--setgid={uid}", "env", "-i", f"HOME=/home/{desk.login}",
        "PATH=/usr/bin:/bin", "sh", "-c", command,
    ]  # fmt: skip
