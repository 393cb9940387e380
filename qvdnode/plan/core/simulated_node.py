"""One node of a simulated farm: the node's own rules of admission, and a model of its host. Pure.

Real are the queue for start slots (vm.core.start_queue), the judgement whether a desktop fits
(memopt.core.promise), and the figures that placement reads. Modelled are the processor, which all
starts share when it is short, and the memory that running desktops take.
"""

from dataclasses import dataclass
from typing import Final

from qvdnode.cluster.core.placement import Load
from qvdnode.memopt.core.meminfo import HostMemory
from qvdnode.memopt.core.promise import capacity_mib, refusal
from qvdnode.model.errors import NodeBusy, NodeFull
from qvdnode.model.ids import NodeId
from qvdnode.plan.core.demand import PERCENT, DesktopModel, NodeModel
from qvdnode.vm.core.start_queue import StartQueue

DRIVER: Final = "lxc"
LEAST_CORES: Final = 0.05
"""However busy the desktops are, the kernel gives starts this share of the cores."""
DONE_S: Final = 1e-9
"""Less work than this is a rounding error."""


@dataclass(slots=True)
class _Start:
    login: int
    left_s: float


class SimulatedNode:
    """Brings desktops up in virtual time; `now_s` never goes back."""

    def __init__(
        self, node_id: NodeId, model: NodeModel, desktop: DesktopModel, running: int = 0
    ) -> None:
        self._id = node_id
        self._model = model
        self._desktop = desktop
        self._queue = StartQueue(model.starts_at_once, model.queue_max)
        self._waiting: dict[int, int] = {}
        """The login of each ticket that waits."""
        self._starts: dict[int, _Start] = {}
        """The starts of the tickets that have a slot."""
        self._at_s = 0.0
        self._load: Load | None = None
        """What `load` has answered since the last change."""
        self.running = running
        """Desktops that are up."""
        self._capacity_mib = capacity_mib(self._memory(), model.host_reserve_mib, model.overcommit)
        self.longest_queue = 0

    @property
    def owned(self) -> int:
        """Desktops that are up, being brought up or waiting for it."""
        return self.running + len(self._starts) + len(self._waiting)

    @property
    def waiting(self) -> int:
        """Desktops that wait for a start slot."""
        return len(self._waiting)

    @property
    def is_overcommitted(self) -> bool:
        """Whether desktops take, or were promised, more than there is."""
        used_mib = self._model.host_reserve_mib + self.running * self._desktop.used_mib
        return used_mib > self._model.memory_mib or self._promised_mib > self._capacity_mib

    def take(self, login: int, now_s: float, *, may_wait: bool = True) -> None:
        """Take a desktop, which starts now or waits for its turn; raises NodeFull and NodeBusy."""
        self._advance(now_s)
        if not may_wait and not self._queue.free:
            raise NodeBusy("This node is busy.", waiting=self.waiting)
        because = refusal(
            self._desktop.memory_mib,
            self._capacity_mib - self._promised_mib,
            self._memory(),
            self._model.available_floor_mib,
        )
        if because is not None:
            raise NodeFull(because)
        if self.owned >= self._model.guests_max:
            raise NodeFull("This node is full: it runs as many desktops as it may.")
        ticket = self._queue.enter()
        if ticket in self._queue.holders:
            self._begin(ticket, login)
        else:
            self._waiting[ticket] = login
            self.longest_queue = max(self.longest_queue, self.waiting)

    def next_ready_s(self) -> float | None:
        """When the next start is through if nothing else happens; None when there is none."""
        if not self._starts:
            return None
        return self._at_s + min(start.left_s for start in self._starts.values()) / self._speed()

    def ready(self, now_s: float) -> list[int]:
        """The logins whose desktops have come up by then; those that waited follow."""
        self._advance(now_s)
        through = [ticket for ticket, s in self._starts.items() if s.left_s <= DONE_S]
        logins = [self._starts.pop(ticket).login for ticket in through]
        self.running += len(logins)
        for ticket in through:
            following = self._queue.leave(ticket)
            if following is not None:
                self._begin(following, self._waiting.pop(following))
        return logins

    def load(self) -> Load:
        """The figures that it tells the others now."""
        if self._load is None:
            self._load = self._figures()
        return self._load

    def _figures(self) -> Load:
        wanted = len(self._starts) * self._share + self.running * self._busy_cores
        return Load(
            node_id=self._id,
            capacity_mib=self._capacity_mib,
            promised_mib=self._promised_mib,
            guests=self.owned,
            guests_max=self._model.guests_max,
            starts_waiting=self.waiting,
            starts_waiting_max=self._model.queue_max,
            start_tokens=self._model.starts_at_once,
            start_tokens_free=self._queue.free,
            cores=self._model.cores,
            run_queue=wanted,
            drivers=frozenset({DRIVER}),
        )

    def _begin(self, ticket: int, login: int) -> None:
        self._starts[ticket] = _Start(login, self._desktop.start_s)

    def _advance(self, now_s: float) -> None:
        """Let the starts go on until then; what calls this may change the node."""
        self._load = None
        worked_s = (now_s - self._at_s) * self._speed()
        for start in self._starts.values():
            start.left_s -= worked_s
        self._at_s = now_s

    def _speed(self) -> float:
        """How fast starts go on, 1 as on an idle host: they share what running desktops leave."""
        wanted = len(self._starts) * self._share
        cores = self._model.cores
        left = max(cores - self.running * self._busy_cores, LEAST_CORES * cores)
        return min(1.0, left / wanted) if wanted > 0 else 1.0

    @property
    def _share(self) -> float:
        """How many cores one start keeps busy."""
        return self._desktop.start_cpu_s / self._desktop.start_s

    @property
    def _busy_cores(self) -> float:
        return self._desktop.busy_pct / PERCENT

    @property
    def _promised_mib(self) -> int:
        return self.owned * self._desktop.memory_mib

    def _memory(self) -> HostMemory:
        total_mib = self._model.memory_mib
        used_mib = self._model.host_reserve_mib + self.running * self._desktop.used_mib
        available_mib = max(total_mib - used_mib, 0)
        return HostMemory(total_mib, available_mib, swap_free_mib=0)
