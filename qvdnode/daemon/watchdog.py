"""Ends desktops that another node may start, once this node cannot keep them any more.

A process of its own, apart from the node: it goes on when the node hangs, is stopped or dies. It
reads a small file that the node writes (daemon/self_fence.py): until when guests may live, but for
some that are named. When that moment passes, it kills the others, also those that were started
since the node wrote. It ends when the file is gone.

The moment is on the clock that goes on while the host is suspended.
"""

import fcntl
import json
import sys
import time  # noqa: TID251 - a process of its own, which needs the clock that suspends count on
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final, Protocol, TextIO

from qvdnode.host import cgroups

POLL_S: Final = 0.5
LOCK_TRIES: Final = 20
LOCK_AGAIN_S: Final = 0.05
MONITOR: Final = "monitor-"
"""Begins the control group of a program that waits for a guest (vm/core/lxc_config.py)."""


@dataclass(frozen=True, slots=True)
class Order:
    """What the node wrote."""

    until_s: float
    """On CLOCK_BOOTTIME."""
    above: str
    """The control group below which the guests' groups are."""
    keep: tuple[str, ...]
    """Groups of guests that live on in any case."""


class Groups(Protocol):
    """What host.cgroups.Cgroups does."""

    def children(self, group: str) -> set[str]:
        """Names of the groups right below."""
        ...

    def kill(self, group: str) -> int:
        """Kill each process in that group and below."""
        ...


def encode(order: Order) -> bytes:
    """The content of the file."""
    return json.dumps(asdict(order)).encode()


def decode(content: bytes) -> Order:
    """The order in the file; raises ValueError."""
    try:
        plain = json.loads(content)
        order = Order(float(plain["until_s"]), str(plain["above"]), tuple(plain["keep"]))
    except (KeyError, TypeError, RecursionError) as error:
        raise ValueError(f"not an order: {error}") from error
    if not order.above or not all(isinstance(name, str) for name in order.keep):
        raise ValueError("groups must have names")
    return order


def lock_file(file: Path) -> Path:
    """Locked by the watchdog that reads `file`."""
    return file.with_suffix(".lock")


def boot_s() -> float:
    """Seconds since the host's start, suspended ones too."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def overdue(order: Order, now_s: float) -> bool:
    """Whether the time of the guests is over."""
    return now_s >= order.until_s


def doomed(order: Order, children: Iterable[str]) -> list[str]:
    """The groups to kill, of those below `order.above`: a monitor goes by itself, and cleans up."""
    guests = (f"{order.above}/{name}" for name in sorted(children) if not name.startswith(MONITOR))
    return [group for group in guests if group not in order.keep]


def watch(
    file: Path,
    groups: Groups,
    now_s: Callable[[], float] = boot_s,
    pause: Callable[[float], None] = time.sleep,
) -> None:
    """Kill what is overdue, until the file is gone. What cannot be read leaves the last order."""
    order: Order | None = None
    while True:
        try:
            order = decode(file.read_bytes())
        except FileNotFoundError:
            return
        except (OSError, ValueError) as error:
            sys.stderr.write(f"watchdog: {file}: {error}\n")
        # At each pass, not once: a node that hung may go on, and start guests after its time.
        if order is not None and overdue(order, now_s()):
            for group in doomed(order, groups.children(order.above)):
                groups.kill(group)
        pause(POLL_S)


def main(file: Path) -> int:
    """Watch, unless another watchdog does."""
    with lock_file(file).open("w") as lock:
        if _taken(lock):
            watch(file, cgroups.probe())
    return 0


def _taken(lock: TextIO) -> bool:
    """Take the lock; False while another watchdog has it. The node looks at it for an instant."""
    # The node tries a shared lock twice a second, to see whether a watchdog runs. One refusal may
    # be that.
    for _ in range(LOCK_TRIES):
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            time.sleep(LOCK_AGAIN_S)
        else:
            return True
    return False


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
