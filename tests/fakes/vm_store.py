"""Ownership of VMs in memory: what vm.ports.VmStore promises, without a database."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from qvdnode.model.errors import AcquireUnknown, Conflict, LeaseLost, NotFound, Unavailable
from qvdnode.model.ids import Generation, NodeId, VmId
from qvdnode.model.vm_state import VmState

NEVER_STARTED = Generation(0)


@dataclass(slots=True)
class VmRow:
    """The ownership columns of one VM."""

    generation: Generation = NEVER_STARTED
    owner: NodeId | None = None
    home: NodeId | None = None
    """Where the home of its user is, who has no other VM."""
    state: VmState = VmState.STOPPED
    error: str | None = None


@dataclass(slots=True)
class FakeFarm:
    """The rows that the stores of several nodes share."""

    vms: dict[VmId, VmRow] = field(default_factory=dict)
    fenced: set[NodeId] = field(default_factory=set)
    away: bool = False
    """Whether the database is away: every call then raises Unavailable."""
    asked: int = 0
    """How often any of the stores was called."""
    away_with_next_acquire: bool = False
    """Whether the database goes away once it has committed the next acquire, before it says so."""

    def add(self, *vm_ids: int) -> None:
        """Make stopped VMs."""
        self.vms.update({VmId(vm_id): VmRow() for vm_id in vm_ids})


class FakeVmStore:
    """Satisfies vm.ports.VmStore for one node of a FakeFarm."""

    def __init__(self, farm: FakeFarm, node_id: int = 1) -> None:
        self.farm = farm
        self.node_id = NodeId(node_id)

    async def acquire(self, vm_id: VmId) -> Generation:
        """Claim a VM that nobody runs, that this node runs, or that a fenced one ran."""
        row = self._row(vm_id)
        if self.node_id in self.farm.fenced:
            raise LeaseLost("This node's lease has run out.")
        if row.owner not in (None, self.node_id) and row.owner not in self.farm.fenced:
            raise Conflict(f"VM {vm_id} runs on node {row.owner}.")
        if row.home not in (None, self.node_id):
            raise Conflict(f"The files of this desktop's user are on node {row.home}.")
        row.home = self.node_id
        row.generation = Generation(row.generation + 1)
        row.owner, row.state, row.error = self.node_id, VmState.PREPARING, None
        if self.farm.away_with_next_acquire:
            self.farm.away, self.farm.away_with_next_acquire = True, False
            raise AcquireUnknown("The database is away.", row.generation)
        return row.generation

    async def record(
        self, vm_id: VmId, generation: Generation, state: VmState, *, error: str | None = None
    ) -> None:
        """Write the state of a VM that this node owns in this generation."""
        row = self._row(vm_id)
        if (row.generation, row.owner) != (generation, self.node_id):
            raise LeaseLost(f"VM {vm_id} is not ours any more.")
        row.state, row.error = state, error

    async def release(
        self, vm_id: VmId, generation: Generation, state: VmState, *, error: str | None = None
    ) -> None:
        """Give a VM up; again is fine."""
        row = self._row(vm_id)
        if row.generation != generation or row.owner not in (None, self.node_id):
            raise LeaseLost(f"VM {vm_id} is not ours any more.")
        row.owner, row.state, row.error = None, state, error

    async def owned(self) -> Sequence[tuple[VmId, Generation, VmState]]:
        """The VMs of this node."""
        self._must_be_there()
        return [
            (vm_id, row.generation, row.state)
            for vm_id, row in sorted(self.farm.vms.items())
            if row.owner == self.node_id
        ]

    def _row(self, vm_id: VmId) -> VmRow:
        self._must_be_there()
        if vm_id not in self.farm.vms:
            raise NotFound(f"There is no VM {vm_id}.")
        return self.farm.vms[vm_id]

    def _must_be_there(self) -> None:
        self.farm.asked += 1
        if self.farm.away:
            raise Unavailable("The database is away.")
