"""Assigns quota project ids to roots and homes. Pure."""

from dataclasses import dataclass

from qvdnode.model.ids import UserId, VmId


@dataclass(frozen=True, slots=True)
class QuotaProjects:
    """Ids from `base` on: even ones for roots, odd ones for homes."""

    base: int

    def of_root(self, vm_id: VmId) -> int:
        """The project of what a VM writes; of one start at a time."""
        return self.base + 2 * vm_id

    def of_home(self, user_id: UserId) -> int:
        """The project of a user's home."""
        return self.base + 2 * user_id + 1
