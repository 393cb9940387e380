"""Commits of desktops that nobody has changed."""

from qvdnode.image.core import commit as commits
from qvdnode.image.core.commit import Commit
from qvdnode.model.ids import VmId
from qvdnode.model.image_commit import CommitRecord, CommitWish


def commit_of(wish: CommitWish) -> CommitRecord:
    """A commit without a tree."""
    made = Commit("0" * 64, (), wish.author, 5, wish.message, wish.branch, 7)
    raw = commits.encode(made)
    return CommitRecord(commits.name_of(raw), (), raw)


class FakeDesktopChanges:
    """Satisfies vm.ports.DesktopChanges."""

    async def commit(self, vm_id: VmId, wish: CommitWish) -> CommitRecord:
        """Of that desktop."""
        return commit_of(wish)
