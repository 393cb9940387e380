"""Logins of a farm in virtual time: the farm's own placement over simulated nodes.

Each login enters at a random node, as by DNS round robin. That node chooses with the scheduler of
`qvdnode serve` by what it knows of the others, which is as old as the demand says; the chosen one
admits by its own rules, and a refusal is answered by another choice, as in session.starting.
"""

import heapq
import random
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Final

from qvdnode.cluster.core.placement import Load, Wish
from qvdnode.cluster.scheduler import Scheduler
from qvdnode.model.errors import NodeFull
from qvdnode.model.ids import NodeId
from qvdnode.plan.core.demand import Demand, NodeModel, login_times
from qvdnode.plan.core.outcome import Outcome, Sample
from qvdnode.plan.core.simulated_node import DRIVER, SimulatedNode
from qvdnode.session.core.redirects import Redirects

SAMPLES: Final = 120
"""Points of a curve over the window."""
MORNING: Final = datetime(2000, 1, 1, 8, tzinfo=UTC)


class VirtualClock:
    """Satisfies runtime.clock.Clock, as far as the scheduler asks."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def now(self) -> datetime:
        """A wall clock that begins in the morning."""
        return MORNING + timedelta(seconds=self.now_s)

    def monotonic_s(self) -> float:
        """The time of the simulation."""
        return self.now_s

    async def sleep(self, seconds: float) -> None:
        """Never called: nothing waits in virtual time."""
        raise NotImplementedError


class PlainNames:
    """Satisfies cluster.ports.NodeNames for nodes that share all homes."""

    def name(self, node_id: NodeId) -> str:
        """The node's number."""
        return str(node_id)

    def removed(self, node_id: NodeId) -> bool:
        """Never."""
        del node_id
        return False

    def with_homes_of(self, node_id: NodeId) -> frozenset[NodeId]:
        """It alone."""
        return frozenset({node_id})


class View:
    """What one node knows of the load of all. Satisfies cluster.ports.LoadSource."""

    def __init__(
        self, own: NodeId, nodes: dict[NodeId, SimulatedNode], clock: VirtualClock
    ) -> None:
        self._own = own
        self._nodes = nodes
        self._clock = clock
        self._seen: list[Load] = []
        self._seen_s = 0.0
        self.refresh()

    def refresh(self) -> None:
        """Hear of all nodes."""
        self._seen_s = self._clock.now_s
        self._seen = [n.load() for i, n in self._nodes.items() if i != self._own]

    def loads(self) -> list[Load]:
        """What it has heard, with its age; its own figures are current."""
        age_s = self._clock.now_s - self._seen_s
        own = self._nodes[self._own].load()
        return [own, *(replace(load, age_s=age_s) for load in self._seen)]


@dataclass(frozen=True, slots=True, order=True)
class _Event:
    at_s: float
    number: int
    login: int | None = None
    refresh: NodeId | None = None
    ready: NodeId | None = None
    version: int = 0
    """A node's next end of a start is planned anew at each change: only the last plan counts."""


class Simulation:
    """One run; the same seed gives the same outcome."""

    def __init__(self, demand: Demand, model: NodeModel, nodes: int, seed: int) -> None:
        self._demand = demand
        self._rng = random.Random(seed)
        self._clock = VirtualClock()
        desktop = demand.desktop
        share, more = divmod(demand.running, nodes)
        self._nodes = {
            NodeId(i + 1): SimulatedNode(NodeId(i + 1), model, desktop, share + (i < more))
            for i in range(nodes)
        }
        self._views = {node: View(node, self._nodes, self._clock) for node in self._nodes}
        self._schedulers = {
            node: Scheduler(view, PlainNames(), self._rng, self._clock)
            for node, view in self._views.items()
        }
        self._wish = Wish(desktop.memory_mib, DRIVER)
        self._versions = dict.fromkeys(self._nodes, 0)
        self._events: list[_Event] = []
        self._number = 0
        self._came_s: list[float] = login_times(demand, self._rng)
        self._ready_s: list[float] = []
        self._refused = 0
        self._redirects = 0
        self._overcommitted: set[NodeId] = set()
        self._samples: list[Sample] = []

    def run(self) -> Outcome:
        """Have all logins come, until all desktops are up or refused."""
        for login, at_s in enumerate(self._came_s):
            self._plan(at_s, login=login)
        for node_id in self._nodes:
            self._plan(self._rng.uniform(0, self._demand.data_age_s), refresh=node_id)
        step_s = self._demand.window_s / SAMPLES
        while self._events and not self._is_over():
            event = heapq.heappop(self._events)
            while len(self._samples) * step_s <= event.at_s:
                self._sample(len(self._samples) * step_s)
            self._clock.now_s = event.at_s
            self._happen(event)
        self._sample(self._clock.now_s)
        return Outcome(
            nodes=len(self._nodes),
            ready_s=tuple(sorted(self._ready_s)),
            refused=self._refused,
            redirects=self._redirects,
            desktops=tuple(node.owned for node in self._nodes.values()),
            longest_queue=max(node.longest_queue for node in self._nodes.values()),
            overcommitted=len(self._overcommitted),
            took_s=self._clock.now_s,
            samples=tuple(self._samples),
        )

    def _is_over(self) -> bool:
        return len(self._ready_s) + self._refused == self._demand.logins

    def _happen(self, event: _Event) -> None:
        if event.login is not None:
            self._log_in(event.login)
        elif event.refresh is not None:
            self._views[event.refresh].refresh()
            if self._demand.data_age_s > 0:
                self._plan(event.at_s + self._demand.data_age_s, refresh=event.refresh)
        elif event.ready is not None and event.version == self._versions[event.ready]:
            for login in self._nodes[event.ready].ready(event.at_s):
                self._ready_s.append(event.at_s - self._came_s[login])
            self._changed(event.ready)

    def _log_in(self, login: int) -> None:
        entry = self._rng.choice(list(self._nodes))
        if self._demand.data_age_s == 0:
            self._views[entry].refresh()
        node_id = self._taken_by(login, self._schedulers[entry])
        if node_id is None:
            self._refused += 1
        else:
            self._changed(node_id)

    def _taken_by(self, login: int, scheduler: Scheduler) -> NodeId | None:
        """The node that takes the desktop, as session.starting asks them; None when none does."""
        redirects = Redirects()
        try:
            while not redirects.is_enough:
                node_id = scheduler.choose(self._wish, without=redirects.refused).node_id
                try:
                    self._nodes[node_id].take(login, self._clock.now_s, may_wait=False)
                except NodeFull as error:
                    redirects.add(node_id, error)
                    self._redirects += 1
                else:
                    return node_id
        except NodeFull:
            pass  # no other node can take it
        return self._waiting_at(redirects.wait_at(), login)

    def _waiting_at(self, node_id: NodeId | None, login: int) -> NodeId | None:
        """Return that node if it lets the desktop wait."""
        if node_id is None:
            return None
        try:
            self._nodes[node_id].take(login, self._clock.now_s)
        except NodeFull:
            return None
        return node_id

    def _changed(self, node_id: NodeId) -> None:
        """Plan the node's next end of a start, and note whether it has more than it can hold."""
        node = self._nodes[node_id]
        if node.is_overcommitted:
            self._overcommitted.add(node_id)
        self._versions[node_id] += 1
        at_s = node.next_ready_s()
        if at_s is not None:
            self._plan(max(at_s, self._clock.now_s), ready=node_id)

    def _plan(
        self,
        at_s: float,
        *,
        login: int | None = None,
        refresh: NodeId | None = None,
        ready: NodeId | None = None,
    ) -> None:
        self._number += 1
        version = 0 if ready is None else self._versions[ready]
        event = _Event(at_s, self._number, login, refresh, ready, version)
        heapq.heappush(self._events, event)

    def _sample(self, at_s: float) -> None:
        owned = [node.owned for node in self._nodes.values()]
        self._samples.append(
            Sample(
                at_s=at_s,
                running=sum(node.running for node in self._nodes.values()),
                waiting=sum(node.waiting for node in self._nodes.values()),
                most=max(owned),
                least=min(owned),
            )
        )
