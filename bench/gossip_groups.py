"""Two groups of members as real processes on one loopback: qvdnode's and serf's."""

import os
import re
import selectors
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

SERF_KEY: Final = "A" * 43 + "="
"""32 bytes, as ours."""
PORT: Final = 7946
DIE_WITH_PARENT: Final = ("setpriv", "--pdeathsig", "KILL", "--")
CHANGES: Final = {"joined": "up", "restarted": "up", "suspected": "suspect", "died": "dead"}
SERF_EVENT: Final = re.compile(r"EventMember(Join|Failed): n(\d+) ")
SERF_SUSPECT: Final = re.compile(r"Suspect n(\d+) has failed")


@dataclass(frozen=True, slots=True)
class Seen:
    """A report of one member about another, with the time by the driver's clock."""

    kind: str
    observer: int
    subject: int
    when_s: float


@dataclass(slots=True)
class Group:
    """All members of one kind."""

    name: str
    network: str
    command: Callable[[int], Sequence[str]]
    parse: Callable[[str], tuple[str, int] | None]
    processes: dict[int, subprocess.Popen[bytes]] = field(default_factory=dict)
    """Those that were not killed."""
    seen: list[Seen] = field(default_factory=list)
    known: dict[int, set[int]] = field(default_factory=dict)
    partial: dict[int, bytes] = field(default_factory=dict)

    def host(self, number: int) -> str:
        """The address of a member."""
        return f"{self.network}{number + 1}"

    def whole(self) -> bool:
        """Whether every member has seen every other one."""
        return all(
            len(self.known[number] | {number}) >= len(self.processes) for number in self.processes
        )

    def first_and_last_s(self, victim: int, since_s: float) -> tuple[float, float] | None:
        """When the first and the last survivor reported its death; None before all did."""
        times = {
            seen.observer: seen.when_s
            for seen in reversed(self.seen)
            if seen.kind == "dead" and seen.subject == victim and seen.when_s >= since_s
        }
        if not set(self.processes) <= set(times):
            return None
        return min(times.values()) - since_s, max(times.values()) - since_s


def our_group(network: str) -> Group:
    """Members of ours."""
    group = Group("ours", network, lambda number: our_command(group, number), our_change)
    return group


def our_command(group: Group, number: int) -> Sequence[str]:
    """How one of ours is started."""
    seed = group.host(0)
    return (
        *(sys.executable, "-m", "bench.gossip_node"),
        *(f"n{number}", group.host(number), str(PORT), seed),
    )


def our_change(line: str) -> tuple[str, int] | None:
    """What a line of ours says."""
    change, _, name = line.partition(" ")
    return (CHANGES[change], int(name[1:])) if change in CHANGES else None


def serf_group(network: str, serf: str) -> Group:
    """Encrypted members of serf's, with its own values for a local network."""

    def command(number: int) -> Sequence[str]:
        host = group.host(number)
        join = ("-retry-join=" + group.host(0) + f":{PORT}", "-retry-interval=1s")
        return (
            *(serf, "agent", f"-node=n{number}", f"-bind={host}:{PORT}", f"-rpc-addr={host}:7373"),
            *("-profile=lan", "-log-level=debug", f"-encrypt={SERF_KEY}"),
            *(join if number else ()),
        )

    def change(line: str) -> tuple[str, int] | None:
        if found := SERF_EVENT.search(line):
            return ("up" if found[1] == "Join" else "dead"), int(found[2])
        found = SERF_SUSPECT.search(line)
        return ("suspect", int(found[1])) if found else None

    group = Group("serf", network, command, change)
    return group


@contextmanager
def serf_program() -> Iterator[str | None]:
    """The serf program: the installed one, else unpacked from Debian's package; None without."""
    if installed := shutil.which("serf"):
        yield installed
        return
    with tempfile.TemporaryDirectory(prefix="bench-serf-") as folder:
        get = ["apt-get", "-qq", "-o", "APT::Sandbox::User=root", "download", "serf"]
        subprocess.run(get, cwd=folder, check=False)
        for package in Path(folder).glob("serf_*.deb"):
            subprocess.run(["dpkg-deb", "-x", package, folder], check=True)
        program = Path(folder, "usr/bin/serf")
        yield str(program) if program.exists() else None


class Driver:
    """Starts the members of some groups and reads what they say."""

    def __init__(self, groups: Sequence[Group]) -> None:
        self.groups = groups
        self._selector = selectors.DefaultSelector()

    def start(self, size: int) -> None:
        """Start so many members of each group; the first a moment before the others."""
        for number in range(size):
            for group in self.groups:
                self._start(group, number)
            self.run(1.0 if number == 0 else 0.05)

    def run(self, seconds: float, until: Callable[[], bool] | None = None) -> bool:
        """Read for so long, or until something is true; whether it is."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if until is not None and until():
                return True
            for key, _ in self._selector.select(0.02):
                self._read(*key.data)
        return until is not None and until()

    def kill(self, group: Group, number: int) -> float:
        """Kill a member; when."""
        process = group.processes.pop(number)
        when_s = time.monotonic()
        process.kill()
        process.wait()
        self._forget(process)
        return when_s

    def stop(self) -> None:
        """Kill whoever is left."""
        for group in self.groups:
            for number in list(group.processes):
                self.kill(group, number)
        self._selector.close()

    def stand_still(self, group: Group, number: int, seconds: float) -> None:
        """Let a whole process stand still."""
        process = group.processes[number]
        process.send_signal(signal.SIGSTOP)
        try:
            self.run(seconds)
        finally:
            process.send_signal(signal.SIGCONT)

    def _start(self, group: Group, number: int) -> None:
        process = subprocess.Popen(
            [*DIE_WITH_PARENT, *group.command(number)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT if group.name == "serf" else subprocess.DEVNULL,
        )
        if process.stdout is None:
            raise AssertionError
        os.set_blocking(process.stdout.fileno(), False)
        group.processes[number] = process
        group.known[number] = set()
        group.partial[number] = b""
        self._selector.register(process.stdout, selectors.EVENT_READ, (group, number))

    def _read(self, group: Group, number: int) -> None:
        process = group.processes.get(number)
        if process is None or process.stdout is None:
            return
        data = process.stdout.read()
        if not data:
            self._forget(process)
            return
        *lines, group.partial[number] = (group.partial[number] + data).split(b"\n")
        for line in lines:
            change = group.parse(line.decode(errors="replace"))
            if change is not None:
                kind, subject = change
                group.seen.append(Seen(kind, number, subject, time.monotonic()))
                if kind == "up":
                    group.known[number].add(subject)

    def _forget(self, process: subprocess.Popen[bytes]) -> None:
        if process.stdout is not None and process.stdout in {
            key.fileobj for key in self._selector.get_map().values()
        }:
            self._selector.unregister(process.stdout)
