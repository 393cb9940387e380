"""Two stores, and a place at a remote between them."""

import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from qvdnode.image.core.refs import Ref
from qvdnode.image.remote.exchange import Arrived, Exchange, opened
from qvdnode.image.remote.push import Pushed
from qvdnode.image.remote.remotes import Remote
from qvdnode.image.store.branches import Branches
from qvdnode.image.store.repository import Repository
from qvdnode.runtime.clock import SystemClock
from tests.integration.image.store.made import NOW, branches_of, committed, findings, new_store

MAIN = Ref("office", "main")
ROOM = 1 << 40


@dataclass
class Side:
    """One store with its remote."""

    store: Repository
    remote: Remote
    room: int = ROOM
    told: list[tuple[int, int | None]] = field(default_factory=list)

    @property
    def branches(self) -> Branches:
        return branches_of(self.store)

    @asynccontextmanager
    async def exchange(self) -> AsyncIterator[Exchange]:
        async with opened(self.remote, "office", SystemClock()) as place:
            yield Exchange(
                self.store, self.branches, place, lambda: self.room,
                lambda done, total: self.told.append((done, total)),
            )  # fmt: skip

    async def push(self, ref: Ref = MAIN, *, force: bool = False) -> Pushed:
        async with self.exchange() as exchange:
            return await exchange.push(ref, force=force)

    async def pull(self, ref: Ref = MAIN, *, force: bool = False) -> Arrived:
        async with self.exchange() as exchange:
            return await exchange.pull("origin", ref, ref, "ben", force=force)

    async def fetch(self, only: Ref | None = None) -> list[Arrived]:
        async with self.exchange() as exchange:
            return await exchange.fetch("origin", "office", only, "ben")

    def commit(self, root: Path, *parents: str) -> str:
        """Commit a folder, and move main there."""
        name = committed(self.store, root, *parents, message=str(NOW))
        self.branches.advance(MAIN, name, who="ana", why="test")
        return name


def sides(folder: Path, remote: Remote) -> tuple[Side, Side]:
    """The one that pushes and the one that pulls."""
    return Side(new_store(folder / "here"), remote), Side(new_store(folder / "there"), remote)


def tree(root: Path) -> Path:
    """A folder with files that do not compress, and an upgrade changes a little of."""
    noise = random.Random(1)
    (root / "lib").mkdir(parents=True)
    for number in range(6):
        (root / f"lib/lib{'abcdef'[number]}.so.1.{number}").write_bytes(
            noise.randbytes(300_000 + number)
        )
    (root / "etc").write_bytes(b"word" * 50)
    return root


def upgrade(root: Path) -> None:
    """Change some bytes of each library, and the name of one."""
    for path in sorted((root / "lib").iterdir()):
        content = bytearray(path.read_bytes())
        content[1_000:1_010] = b"upgraded!!"
        path.unlink()
        path.with_name(path.name.replace("so.1.0", "so.1.77")).write_bytes(bytes(content))


def same(here: Side, there: Side, name: str) -> None:
    """Both have that commit, and nothing is wrong with what came."""
    assert there.store.tree(name) == here.store.tree(name)
    assert there.store.commit(name) == here.store.commit(name)
    assert findings(there.store) == []
    assert list(there.store.places.tmp.iterdir()) == []
