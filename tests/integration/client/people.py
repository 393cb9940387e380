"""A person with one desktop on the server of conftest.py, and what runs for that person."""

import contextlib
import os
import random
from collections.abc import Callable
from pathlib import Path

from qvdnode.client.connect import Account, Client, Wishes
from qvdnode.client.core.backoff import Backoff
from qvdnode.client.target import Target
from qvdnode.client.trust import Trust
from qvdnode.runtime.clock import SystemClock
from tests.fakes.qvd_server import FakeQvdServer

StandIn = Callable[[str], None]

CLOCK = SystemClock()
ROW = {"id": 7, "name": "desk", "state": "running", "blocked": 0, "is_application": 0}
SWITCH = (
    b"HTTP/1.1 102 Processing\r\nX-QVD-VM-Info: Starting virtual machine\r\n\r\n"
    b"HTTP/1.1 101 Switching Protocols\r\nX-QVD-Slave-Key: x\r\n\r\n"
)
QUICK = Backoff(first_s=0.01, longest_s=0.1, give_up_s=5.0)


def account(server: FakeQvdServer, pin: str | None = None) -> Account:
    return account_at(Target("127.0.0.1", server.port), Trust(pin))


def account_at(target: Target, trust: Trust) -> Account:
    return Account(target, trust, "alice@acme", "se:cret")


class Said(list[str]):
    """Remembers what the client tells."""

    def __call__(self, sentence: str) -> None:
        """Another line."""
        self.append(sentence)


def client(server: FakeQvdServer, display: str, said: Said, wishes: Wishes | None = None) -> Client:
    wishes = wishes or Wishes(display=display, vm="desk")
    return Client(account(server), wishes, said, CLOCK, random.Random(1))


def descendants(name: str) -> list[int]:
    """Processes of that name below this one, whatever is between."""
    parents, names = {}, {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            pid, _, rest = stat.read_text().partition(" (")
            comm, _, tail = rest.rpartition(") ")
            parents[int(pid)], names[int(pid)] = int(tail.split()[1]), comm
    return [pid for pid, comm in names.items() if comm == name and _is_below(pid, parents)]


def _is_below(pid: int, parents: dict[int, int]) -> bool:
    while pid in parents:
        pid = parents[pid]
        if pid == os.getpid():
            return True
    return False
