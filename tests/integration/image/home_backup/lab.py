"""A state folder with homes, and a backup of them."""

from dataclasses import replace
from pathlib import Path

from qvdnode.image.core.home_snapshot import Snapshot
from qvdnode.image.core.quota_projects import QuotaProjects
from qvdnode.image.home_backup import work
from qvdnode.image.home_backup.store import HomeStore, opened
from qvdnode.image.homes import Homes
from qvdnode.image.layout import Layout
from qvdnode.image.settings import ImageSettings, SizeLimits
from qvdnode.image.size_limit import LoopLimit
from qvdnode.model.ids import Generation, UserId, VmId

ALICE, BOB = UserId(5), UserId(6)
HOLDER = (VmId(7), Generation(1))
OWNERS = {ALICE: work.Owner("alice", "acme")}
FIRST, SECOND, THIRD = (f"2026-11-0{day}T10-00-00Z" for day in (1, 2, 3))
MIB = 1 << 20


class Lab:
    """A state folder with homes in files, and a backup."""

    def __init__(self, settings: ImageSettings) -> None:
        self.settings = replace(settings, size_limits=SizeLimits.LOOP)
        self.layout = Layout(settings.state_dir)
        self.homes = Homes(self.layout, QuotaProjects(settings.quota_project_base))
        self.folder = settings.state_dir / "backup"

    async def acquire(self, user_id: UserId = ALICE) -> Path:
        return await self.homes.acquire(user_id, HOLDER, 32, LoopLimit())

    async def release(self, user_id: UserId = ALICE) -> None:
        await self.homes.release(user_id, HOLDER)

    async def save(self, moment: str = FIRST) -> dict[int, work.Saved]:
        told: list[work.Saved] = []
        with opened(self.folder, make=True) as store:
            await work.save(self.layout, store, OWNERS, moment, told.append)
        return {saved.user_id: saved for saved in told}

    def found(self, store: HomeStore, at: str = "") -> Snapshot:
        return work.find(store, "alice", "acme", at)

    def blocks(self) -> list[Path]:
        return sorted(self.folder.glob("blocks/*/*"))
