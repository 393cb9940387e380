"""Which project id of quota belongs to which root and home. Pure."""

from dataclasses import dataclass

from qvdnode.model.ids import UserId, VmId


@dataclass(frozen=True, slots=True)
class QuotaProjects:
    """The ids from `base` on: even ones are roots', odd ones homes'."""

    base: int

    def of_root(self, vm_id: VmId) -> int:
        """The project of what a VM writes; of one start at a time."""
        return self.base + 2 * vm_id

    def of_home(self, user_id: UserId) -> int:
        """The project of a user's home."""
        return self.base + 2 * user_id + 1
