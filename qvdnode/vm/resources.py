"""What one start of one VM has on the host.

The bring-up fills it step by step, the teardown empties it step by step; the two never run at the
same time. The session script's runs note how long they took and which resume still holds, the check
of its limits what it has reached. Nobody else writes it.
"""

from dataclasses import dataclass, field
from pathlib import Path

from qvdnode.model.account import account_name
from qvdnode.model.farm import DesktopOrder
from qvdnode.model.guest import GuestPort, GuestProcess, GuestRoot, GuestSpec, IdRange
from qvdnode.model.ids import Generation
from qvdnode.model.image_lack import Lacking
from qvdnode.vm.core.guest_limits import LimitCounts, Notices
from qvdnode.vm.core.guest_record import GuestRecord
from qvdnode.vm.core.session_facts import host_name


@dataclass(slots=True)
class GuestResources:
    """A field that is None was not made, or is undone."""

    order: DesktopOrder
    admitted: bool = False
    """Whether the host promised it its memory."""
    generation: Generation | None = None
    ids: IdRange | None = None
    port: GuestPort | None = None
    root: GuestRoot | None = None
    process: GuestProcess | None = None
    merges: bool = False
    """Whether the kernel may merge its memory: it was started like that."""
    resume_digest: str | None = None
    """See GuestRecord."""
    steps: dict[str, float] = field(default_factory=dict)
    """Seconds that each step took."""
    lacking: Lacking = field(default_factory=Lacking)
    """What its image lacks of what its flavour wants."""
    limits: LimitCounts = field(default_factory=LimitCounts)
    """Which limits it has reached."""
    notices: Notices = field(default_factory=Notices)
    """What its user is to be shown."""

    @property
    def driver(self) -> str:
        """The driver that runs this guest. A flavour that changed since does not count."""
        return self.order.flavour.driver

    def spec(self, prefix: str, run_folder: Path) -> GuestSpec | None:
        """What a driver needs, once everything for it is there."""
        if self.generation is None or self.ids is None or self.port is None or self.root is None:
            return None
        flavour, vm = self.order.flavour, self.order.vm
        return GuestSpec(
            vm_id=vm.id,
            generation=self.generation,
            name=f"{prefix}-{vm.id}",
            hostname=host_name(vm.name, vm.id),
            account=account_name(self.order.user.login),
            ids=self.ids,
            port=self.port,
            root=self.root,
            run_folder=run_folder,
            memory_mib=flavour.memory_mib,
            cpu_pct=flavour.cpu_pct,
            pids_max=flavour.pids_max,
            nesting=flavour.nesting,
            merges=self.merges,
        )

    def record(self, boot_id: str) -> GuestRecord | None:
        """What a state file says, once everything for it is there."""
        if self.generation is None or self.ids is None or self.port is None or self.root is None:
            return None
        return GuestRecord(
            order=self.order,
            generation=self.generation,
            boot_id=boot_id,
            ids=self.ids,
            port=self.port,
            root=str(self.root.root),
            home=str(self.root.home),
            process=self.process,
            resume_digest=self.resume_digest,
            merges=self.merges,
        )


def from_record(record: GuestRecord) -> GuestResources:
    """The resources that a state file lists."""
    return GuestResources(
        order=record.order,
        admitted=True,
        generation=record.generation,
        ids=record.ids,
        port=record.port,
        root=GuestRoot(Path(record.root), Path(record.home)),
        process=record.process,
        resume_digest=record.resume_digest,
        merges=record.merges,
        limits=LimitCounts(adopted=True),
    )
