"""Two stores that exchange the commits of one image by a place."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from qvdnode.image.core.refs import MAIN, Ref
from qvdnode.image.remote.exchange import Arrived, Exchange
from qvdnode.image.remote.ports import Place
from qvdnode.image.remote.push import Pushed
from qvdnode.image.store.branches import Branches
from qvdnode.image.store.repository import Repository
from tests.integration.image.store.made import branches_of, committed, new_store

OFFICE: Final = Ref("office", MAIN)
ROOM: Final = 1 << 40


@dataclass
class Side:
    """One store."""

    folder: Path
    store: Repository = field(init=False)
    branches: Branches = field(init=False)

    def __post_init__(self) -> None:
        """An empty one."""
        self.folder.mkdir()
        self.store = new_store(self.folder)
        self.branches = branches_of(self.store)

    def exchange(self, place: Place, room: int = ROOM) -> Exchange:
        """With a place at a remote."""
        return Exchange(self.store, self.branches, place, lambda: room, lambda _done, _of: None)

    def commit(self, root: Path, message: str = "") -> str:
        """A commit of a folder as the branch's new head."""
        old = self.branches.get(OFFICE)
        name = committed(self.store, root, *([old] if old else []), message=message)
        self.branches.move(OFFICE, old=old, new=name, who="ana", why="test")
        return name

    async def push(self, place: Place, ref: Ref = OFFICE, *, force: bool = False) -> Pushed:
        """Send a branch."""
        return await self.exchange(place).push(ref, force=force)

    async def pull(self, place: Place, *, force: bool = False) -> Arrived:
        """Bring the branch."""
        return await self.exchange(place).pull("origin", OFFICE, OFFICE, "ana", force=force)
