"""Measures the node's memory: its process, per session, and per VM outside the guest.

Each session is drawn, then shows a terminal that scrolls two thousand lines. RSS of the node's
process is read 60 s after the last of 100 sessions has had that traffic. The slope per session is
the growth of that RSS between 20 and 100 sessions. The slope per VM is the growth of the PSS of
everything that is ours outside the guests: the node, the containers' monitors and the database's
processes. Each round has a node of its own. The host's memory is promised four times over, since
none of these desktops uses what its flavour allows.
"""

import asyncio
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bench import options, results_file
from bench.desk_node import Stage, shown, stage
from bench.results_file import median
from bench.running import run
from tests.e2e.guest_processes import in_guest
from tests.waiting import until

if TYPE_CHECKING:
    from tests.harness.qvd import Viewer

ROUNDS: Final = 1
"""One takes two to three minutes."""
SESSIONS: Final = 100
STEP: Final = 20
REST_S: Final = 5.0
"""Between a session's traffic and a look at the step."""
SETTLE_S: Final = 60.0
LIMIT_S: Final = 300.0
TRAFFIC: Final = "DISPLAY=:100 timeout 60 xterm -e seq 1 2000"


def rss_mib(pid: int) -> float:
    """Resident memory of a process."""
    status = Path(f"/proc/{pid}/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if "VmRSS" in line) / 1024


def pss_mib(pid: int) -> float:
    """Proportional share of a process, 0 if it has just ended."""
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:
        return 0.0
    return (
        next(int(line.split()[1]) for line in text.splitlines() if line.startswith("Pss:")) / 1024
    )


def ours(on: Stage) -> dict[str, list[int]]:
    """Processes of this node outside its guests, by what they are."""
    assert on.node.process is not None
    state = str(on.node.state_dir)
    found: dict[str, list[int]] = {"node": [on.node.process.pid], "monitor": [], "database": []}
    masters: set[int] = set()
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            words = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if words.startswith("[lxc monitor]") and state in words:
            found["monitor"].append(int(entry.name))
        elif "postgres" in words and state in words:
            masters.add(int(entry.name))
    found["database"] = [*masters, *(child for pid in masters for child in children(pid))]
    return found


def children(pid: int) -> list[int]:
    """Direct children of a process."""
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return [int(word) for word in text.split()]


def sample(on: Stage, sessions: int) -> dict[str, float]:
    """One row: sessions, RSS of the node, PSS of each kind of process."""
    kinds = ours(on)
    row = {kind: sum(pss_mib(pid) for pid in pids) for kind, pids in kinds.items()}
    row["node_rss"] = rss_mib(kinds["node"][0])
    row["sessions"] = sessions
    return row


def slope(rows: list[dict[str, float]], *keys: str) -> float:
    """Least squares: growth of the sum of `keys` per session."""
    xs = [row["sessions"] for row in rows]
    ys = [sum(row[key] for key in keys) for row in rows]
    x0, y0 = sum(xs) / len(xs), sum(ys) / len(ys)
    rise = sum((x - x0) * (y - y0) for x, y in zip(xs, ys, strict=True))
    return rise / sum((x - x0) ** 2 for x in xs)


async def at_least(on: Stage, number: int) -> bool:
    """Whether so many desktops are shown."""
    return await on.watcher.count() >= number


@dataclass(frozen=True, slots=True)
class Round:
    """What one node needed."""

    rows: list[dict[str, float]]
    """After each step."""
    final: dict[str, float]
    """When all had settled."""
    bytes_to_clients: list[int]
    """What each session's client had received by then."""


async def one_round() -> Round:
    """Add sessions in steps, look after each, and once more when all has settled."""
    rows: list[dict[str, float]] = []
    viewers: list[Viewer] = []
    async with stage(SESSIONS, memory={"overcommit": 4.0}) as on, AsyncExitStack() as keep:
        for number, desk in enumerate(on.desks, start=1):
            _, viewer = await keep.enter_async_context(shown(desk, on))
            viewers.append(viewer)
            await until(partial(at_least, on, number), limit_s=LIMIT_S, what="its window")
            await asyncio.to_thread(in_guest, desk, TRAFFIC)
            if number % STEP == 0:
                await asyncio.sleep(REST_S)
                rows.append(sample(on, number))
        await asyncio.sleep(SETTLE_S)
        return Round(rows, sample(on, SESSIONS), [viewer.received for viewer in viewers])


async def measure(wanted: options.Options) -> None:
    """Several rounds; what there is by then is written after each."""
    rounds: list[Round] = []
    for _ in range(wanted.rounds):
        rounds.append(await one_round())
        results_file.report(
            "memory",
            {
                "node_rss_mib": median([one.final["node_rss"] for one in rounds]),
                "rss_per_session_mib": median([slope(one.rows, "node_rss") for one in rounds]),
                "per_vm_mib": median(
                    [slope(one.rows, "node", "monitor", "database") for one in rounds]
                ),
            },
            {"rounds": [asdict(one) for one in rounds]},
            wanted,
        )


def main() -> None:
    """Measure and write bench/results/memory.json."""
    run(measure(options.parsed(__doc__, rounds=ROUNDS)))


if __name__ == "__main__":
    main()
