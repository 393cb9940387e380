"""What a node has made on the running system, found by the host's own means.

It shares no code with qvdnode, so that what the node forgets to remove is not overlooked here too.
"""

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Final, Protocol

CGROUPS: Final = Path("/sys/fs/cgroup")
RECORDS: Final = Path("/run/qvdnode")
GROUP_DEPTH: Final = 3
LOCKS: Final = Path("/run/lxc/lock")
FORWARDING: Final = Path("/proc/sys/net/ipv4/ip_forward")


class Named(Protocol):
    """A node, by what its things on the host are named after."""

    @property
    def state_dir(self) -> Path: ...
    @property
    def prefix(self) -> str: ...


def traces(node: Named) -> set[str]:
    """Everything that bears the node's names; empty when it has gone and left nothing."""
    return (
        {f"mount {line.split()[4]}" for line in _lines("/proc/self/mountinfo", node.state_dir)}
        | {f"loop device {line}" for line in _said("losetup", "-a") if f"{node.state_dir}/" in line}
        | {f"link {path.name}" for path in Path("/sys/class/net").glob(f"{node.prefix}qv*")}
        | {line for line in _said("nft", "list", "tables") if line.endswith(f"_{node.prefix}")}
        | {f"group {path}" for path in _groups(CGROUPS, node.prefix)}
        | {f"lock {path}" for path in LOCKS.glob(str(node.state_dir).lstrip("/"))}
        | {f"record {path}" for path in _below(RECORDS) if node.prefix in path.name}
        | {f"process {words}" for words in _processes(f"{node.state_dir}/")}
    )


def family(pid: int) -> set[tuple[int, str]]:
    """A process and all below it, each with its start: a number used again does not match."""
    born = {entry: _parent_and_start(entry) for entry in Path("/proc").glob("[0-9]*")}
    found, before = {pid}, set[int]()
    while found != before:
        before = found.copy()
        found |= {int(entry.name) for entry, (parent, _) in born.items() if parent in before}
    return {
        (int(entry.name), start) for entry, (_, start) in born.items() if int(entry.name) in found
    }


def alive(processes: set[tuple[int, str]]) -> set[str]:
    """Number, state and command line of those that still run."""
    return {
        f"{pid} {Path(f'/proc/{pid}/stat').read_text().rpartition(')')[2].split()[0]} "
        + Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        for pid, start in processes
        if _parent_and_start(Path(f"/proc/{pid}"))[1] == start
    }


def forwarding_is_held() -> bool:
    """Whether a node of this host, ours or another, wants IPv4 forwarding to be on."""
    return any(RECORDS.glob("forwarding/held-by-*"))


def forwards() -> bool:
    """Whether the host forwards IPv4 packets now."""
    return FORWARDING.read_text().strip() == "1"


def _parent_and_start(entry: Path) -> tuple[int, str]:
    try:
        words = (entry / "stat").read_text(errors="replace").rpartition(")")[2].split()
    except OSError:
        return 0, ""
    return (0, "") if words[0] == "Z" else (int(words[1]), words[19])


def _lines(file: str, state_dir: Path) -> list[str]:
    lines = Path(file).read_text().splitlines()
    return [line for line in lines if f"{state_dir}/" in line]


def _said(*command: str) -> list[str]:
    finished = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    return finished.stdout.splitlines()


def _groups(folder: Path, prefix: str) -> list[Path]:
    """Control groups of the instance, which all stand near the top of their hierarchy."""
    ours = re.compile(rf"{prefix}(qvd|guests)")
    return [
        path for path in _below(folder, GROUP_DEPTH) if ours.search(str(path)) and path.is_dir()
    ]


def _below(folder: Path, depth: int | None = None) -> Iterator[Path]:
    """Folders and files down to that depth; a folder that vanishes meanwhile is passed over."""
    for at, folders, files in os.walk(folder):
        yield from (Path(at, name) for name in (*folders, *files))
        if depth is not None and len(Path(at).relative_to(folder).parts) + 1 >= depth:
            folders.clear()


def _processes(word: str) -> list[str]:
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = entry.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if word in line:
            found.append(line[:120])
    return found
