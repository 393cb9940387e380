"""At most one node runs a desktop at any moment, whatever fails: a farm in virtual time.

Two nodes share their homes, and one desktop may be taken over at once. A database that runs one
statement after another answers late, goes away for one or both, and comes back. Nodes hang, with
their whole process, and go on. What a node may do is asked of the program's own code: until when a
lease is valid, what the watchdog kills, when an outage is one of all. Each of the rules is taken
away once, and then the farm must be seen to fail: otherwise it would prove nothing.
"""

import random
from dataclasses import dataclass, field, replace

import pytest

from qvdnode.cluster.core.lease import Lease, granted
from qvdnode.cluster.settings import ClusterSettings
from qvdnode.daemon.self_fence import OUTAGE_S, all_cut_off
from qvdnode.daemon.watchdog import POLL_S, Order, overdue
from qvdnode.db.nodes import FENCE_GRACE_S, LEASE_TTL_S
from qvdnode.model.ids import NodeId
from tests.unit.cluster.core.test_placement import node

STEP_S = 0.5
STEPS = 600
SEEDS = 150
LATE_S = 1.5
"""So late the database runs a statement, at most, and so late its answer arrives."""
SETTINGS = ClusterSettings()


@dataclass(frozen=True)
class Rules:
    """What keeps the desktop on one node; each may be taken away."""

    margin_s: float = SETTINGS.lease_margin_s
    grace_s: float = FENCE_GRACE_S
    after_outage_s: float = LEASE_TTL_S + FENCE_GRACE_S
    watchdog: bool = True
    """Whether a process of its own ends the desktop, or the node's own loop."""
    owner_guard: bool = True
    """Whether a node that comes back looks whose desktop it is."""


@dataclass
class Machine:
    """A node: its process, its watchdog and its desktop."""

    number: NodeId
    hangs: bool = False
    cut_off: bool = False
    """Whether it does not reach the database."""
    back_at_s: float = -1000.0
    """Since when it reaches the database again."""
    epoch: int = 1
    lease: Lease = field(default_factory=lambda: Lease(0.0))
    until_s: float = 0.0
    """What the watchdog's file says."""
    runs: bool = False
    taken: bool = False
    """Whether it has taken the desktop and is about to start it."""


@dataclass
class Rows:
    """The database."""

    owner: NodeId | None = None
    away: bool = False
    lease_until_s: dict[NodeId, float] = field(default_factory=dict)
    epochs: dict[NodeId, int] = field(default_factory=dict)
    fenced: set[NodeId] = field(default_factory=set)


class Farm:
    """Two machines, one database, and a desktop that somebody always wants."""

    def __init__(self, seed: int, rules: Rules) -> None:
        self.rng, self.rules = random.Random(seed), rules
        self.now_s = 0.0
        self.rows = Rows()
        self.machines = [Machine(NodeId(1)), Machine(NodeId(2))]
        for machine in self.machines:
            self.rows.epochs[machine.number] = 1
            self.rows.lease_until_s[machine.number] = 0.0

    def run(self) -> tuple[int, int]:
        """The most desktops that ran at a moment, and how often one was started."""
        most, starts = 0, 0
        for _ in range(STEPS):
            self._fail()
            for machine in self.rng.sample(self.machines, 2):
                ran = machine.runs
                self._watch(machine)
                if not machine.hangs:
                    self._live(machine)
                starts += machine.runs and not ran
                most = max(most, sum(one.runs for one in self.machines))
            self.now_s += STEP_S
        return most, starts

    def _fail(self) -> None:
        rows, reached = self.rows, [self._reaches(machine) for machine in self.machines]
        for machine in self.machines:
            machine.hangs = self._toggled(machine.hangs, 0.01, 0.02)
            machine.cut_off = self._toggled(machine.cut_off, 0.005, 0.02)
        rows.away = self._toggled(rows.away, 0.003, 0.03)
        for machine, before in zip(self.machines, reached, strict=True):
            if self._reaches(machine) and not before:
                machine.back_at_s = self.now_s

    def _toggled(self, fault: bool, begins: float, ends: float) -> bool:
        chance = ends if fault else begins
        return not fault if self.rng.random() < chance else fault

    def _reaches(self, machine: Machine) -> bool:
        return not (machine.cut_off or self.rows.away)

    def _watch(self, machine: Machine) -> None:
        if machine.hangs and not self.rules.watchdog:
            return
        if overdue(Order(machine.until_s + POLL_S, "guests", ()), self.now_s):
            machine.runs = False

    def _live(self, machine: Machine) -> None:
        if self._reaches(machine):
            self._renew(machine)
            if machine.taken and self.rng.random() < 0.1:  # a start takes time; it may have hung
                machine.taken = False
                machine.runs = machine.lease.valid(self.now_s) and self._owns(machine)
            self._want(machine)
        machine.until_s = max(machine.until_s, machine.lease.deadline_s)
        (other,) = (one for one in self.machines if one is not machine)
        heard = node(other.number, database=self._reaches(other), suspect=other.hangs)
        if not self._reaches(machine) and all_cut_off([other.number], [heard]):
            machine.until_s = max(machine.until_s, self.now_s + OUTAGE_S)

    def _owns(self, machine: Machine) -> bool:
        return not self.rules.owner_guard or self.rows.owner == machine.number

    def _renew(self, machine: Machine) -> None:
        rows, number = self.rows, machine.number
        if number in rows.fenced or rows.epochs[number] != machine.epoch:
            # its process ends, and another one joins: what it does not own it ends
            rows.fenced.discard(number)
            machine.epoch = rows.epochs[number] = rows.epochs[number] + 1
            machine.runs = machine.runs and self._owns(machine)
        # the database runs it late: the lease is longer by that than the node knows
        asked_s = self.now_s - self.rng.uniform(0, LATE_S)
        rows.lease_until_s[number] = self.now_s + LEASE_TTL_S
        machine.lease = granted(asked_s, LEASE_TTL_S, self.rules.margin_s)

    def _want(self, machine: Machine) -> None:
        rows, owner = self.rows, self.rows.owner
        if owner == machine.number:
            machine.taken = machine.taken or not machine.runs
            return
        if owner is not None:
            if self.now_s - machine.back_at_s < self.rules.after_outage_s:
                return
            if rows.lease_until_s[owner] + self.rules.grace_s >= self.now_s:
                return
            rows.fenced.add(owner)
            rows.epochs[owner] += 1
        rows.owner, machine.taken = machine.number, True


def worst(rules: Rules) -> int:
    return max(Farm(seed, rules).run()[0] for seed in range(SEEDS))


@pytest.mark.timeout(120)
def test_no_two_nodes_run_a_desktop_at_once() -> None:
    outcomes = [Farm(seed, Rules()).run() for seed in range(SEEDS)]
    assert max(most for most, _ in outcomes) == 1
    assert sum(starts for _, starts in outcomes) > 2 * SEEDS  # it goes over, again and again


@pytest.mark.parametrize(
    "change",
    [
        {"grace_s": -LEASE_TTL_S, "after_outage_s": 0.0},
        {"margin_s": -FENCE_GRACE_S - LATE_S},
        {"after_outage_s": 0.0},
        {"watchdog": False},
        {"owner_guard": False},
    ],
    ids=" ".join,
)
@pytest.mark.timeout(120)
def test_each_rule_is_needed(change: dict[str, float]) -> None:
    assert worst(replace(Rules(), **change)) > 1  # type: ignore[arg-type]  # fields of Rules
