"""A commit goes from the store of one node to that of another, over real sockets and TLS."""

import shutil
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from qvdnode.image.store.partial import PartialCommit
from qvdnode.image.store.repository import Repository
from qvdnode.model.errors import BadImage, NodeFull, NotFound, Unavailable
from qvdnode.model.ids import NodeId
from qvdnode.peer import image_service
from qvdnode.peer.guest_stream import read_frame
from qvdnode.peer.image_pull import PeerCommits
from qvdnode.peer.image_service import ImageService
from qvdnode.peer.limits import LinkLimits
from qvdnode.peer.ports import PeerConnection, Purpose
from qvdnode.wire.peer_frames import Call, Failure, encode
from tests.fakes.peer_network import PeerNetwork
from tests.integration.image.store.made import committed, findings, new_store, odd_tree
from tests.waiting import until

HERE, THERE = NodeId(1), NodeId(2)
LIMITS = LinkLimits(opening_limit_s=10.0, silence_limit_s=5.0)


@dataclass
class Heard:
    """Satisfies image.ports.PullProgress."""

    totals: list[int] = field(default_factory=list)
    steps: list[int] = field(default_factory=list)
    refusal: Exception | None = None

    def begin(self, total_bytes: int) -> None:
        self.totals.append(total_bytes)
        if self.refusal is not None:
            raise self.refusal

    def step(self, received_bytes: int) -> None:
        self.steps.append(received_bytes)


@dataclass
class Two:
    """Two nodes with a store each."""

    network: PeerNetwork
    here: Repository
    there: Repository
    heard: Heard = field(default_factory=Heard)

    async def pull(self, commit: str) -> PartialCommit:
        source = PeerCommits(self.network.dialer(HERE), LIMITS)
        return await source.pull(THERE, self.here, commit, self.heard)


@asynccontextmanager
async def two(
    folder: Path, serve: Callable[[PeerConnection], Coroutine[Any, Any, None]] | None = None
) -> AsyncIterator[Two]:
    """Both, and `serve` in place of the other one's service."""
    network = PeerNetwork(folder)
    here, there = new_store(folder / "here"), new_store(folder / "there")
    service = ImageService(there, LIMITS)
    if serve is not None:
        service.serve = serve  # type: ignore[method-assign, assignment]  # a node that behaves as it likes
    async with network.node(THERE, {Purpose.IMAGES: service}):
        yield Two(network, here, there)

        async def all_closed() -> bool:
            made = [*network.dialled, *network.accepted]
            return all(connection.pipe.stream.lost for connection, _ in made)

        await until(all_closed, limit_s=5)


def large_tree(root: Path) -> Path:
    """A folder with some files that take more than one write."""
    root.mkdir()
    for number in range(8):
        (root / f"file-{number}").write_bytes(bytes([number]) * (700_000 + number))
    return root


def points_of(points: list[str]) -> Callable[[str], None]:
    return points.append


async def test_a_commit_arrives_whole_with_everything_a_tree_can_have(tmp_path: Path) -> None:
    async with two(tmp_path) as nodes:
        root = odd_tree(tmp_path / "odd")
        parent = committed(nodes.there, root)
        (root / "a b").write_bytes(b"x" * 100)
        name = committed(nodes.there, root, parent, message="second")
        partial = await nodes.pull(name)
        assert partial.missing() == []
        points: list[str] = []
        partial.finish(points_of(points))
        assert points == [name]
        assert nodes.here.tree(name) == nodes.there.tree(name)
        assert nodes.here.commit(name) == nodes.there.commit(name)
        assert findings(nodes.here) == []
        assert list(nodes.here.places.tmp.iterdir()) == []
        objects = nodes.there.places.objects
        assert {p.name for p in nodes.here.places.objects.glob("*/*")} <= {
            p.name for p in objects.glob("*/*")
        }
        # One connection and one stream, whatever the number of objects.
        assert len(nodes.network.dialled) == 1


async def test_only_what_lacks_is_sent_and_nothing_when_nothing_does(tmp_path: Path) -> None:
    async with two(tmp_path) as nodes:
        root = large_tree(tmp_path / "root")
        first = committed(nodes.there, root)
        (await nodes.pull(first)).finish(lambda _: None)
        (root / "new").write_bytes(b"n" * 5_000)
        second = committed(nodes.there, root, first)
        (await nodes.pull(second)).finish(lambda _: None)
        assert nodes.heard.totals == [sum(700_000 + n for n in range(8)), 5_000]
        assert nodes.heard.steps[-1] == 5_001
        again = await nodes.pull(second)
        assert again.missing() == []
        assert len(nodes.heard.totals) == 2
        assert findings(nodes.here) == []


async def test_what_came_before_the_connection_broke_is_not_sent_again(tmp_path: Path) -> None:
    async with two(tmp_path) as nodes:
        name = committed(nodes.there, large_tree(tmp_path / "root"))

        def cut(received_bytes: int) -> None:
            if received_bytes > 2_000_000:
                nodes.network.cut(Purpose.IMAGES)

        nodes.heard.step = cut  # type: ignore[method-assign]  # cuts instead
        with pytest.raises(Unavailable, match="did not send the image"):
            await nodes.pull(name)
        assert not nodes.here.places.commit(name).exists()
        assert findings(nodes.here) == []
        del nodes.heard.step
        # The process may have died in between, in the middle of a write.
        kept = next((nodes.here.places.tmp / f"fetch-{name}").glob("[0-9a-f]*"))
        shutil.copyfile(kept, kept.with_name("draft"))
        partial = await nodes.pull(name)
        partial.finish(lambda _: None)
        first, rest = nodes.heard.totals
        assert rest < first - 1_400_000
        assert findings(nodes.here) == []


async def test_a_file_that_a_crash_left_damaged_is_fetched_again(tmp_path: Path) -> None:
    async with two(tmp_path) as nodes:
        name = committed(nodes.there, large_tree(tmp_path / "root"))
        folder = nodes.here.places.tmp / f"fetch-{name}"
        folder.mkdir(parents=True)
        digest = next(nodes.there.places.objects.glob("*/*"))
        size = digest.stat().st_size
        (folder / f"{digest.parent.name}{digest.name}").write_bytes(b"\0" * size)
        (await nodes.pull(name)).finish(lambda _: None)
        assert nodes.heard.totals == [sum(700_000 + n for n in range(8))]
        assert findings(nodes.here) == []


async def test_flipped_bits_are_refused_and_leave_the_store_valid(tmp_path: Path) -> None:
    async with two(tmp_path) as nodes:
        name = committed(nodes.there, large_tree(tmp_path / "root"))
        broken = next(nodes.there.places.objects.glob("*/*"))
        content = bytearray(broken.read_bytes())
        content[1000] ^= 1
        broken.chmod(0o600)
        broken.write_bytes(content)
        with pytest.raises(BadImage, match="came with another content"):
            await nodes.pull(name)
        assert not nodes.here.places.commit(name).exists()
        assert findings(nodes.here) == []


async def test_an_object_that_the_other_node_lacks_is_told(tmp_path: Path) -> None:
    async with two(tmp_path) as nodes:
        name = committed(nodes.there, large_tree(tmp_path / "root"))
        next(nodes.there.places.objects.glob("*/*")).unlink()
        partial = await nodes.pull(name)
        assert len(partial.missing()) == 1
        with pytest.raises(BadImage, match="is missing"):
            partial.finish(lambda _: None)
        assert findings(nodes.here) == []


async def test_a_node_that_has_not_the_commit_says_so(tmp_path: Path) -> None:
    async with two(tmp_path) as nodes:
        with pytest.raises(NotFound):
            await nodes.pull("0" * 64)


async def test_a_full_disk_is_known_before_anything_is_sent(tmp_path: Path) -> None:
    async with two(tmp_path) as nodes:
        name = committed(nodes.there, large_tree(tmp_path / "root"))
        nodes.heard.refusal = NodeFull("no room")
        with pytest.raises(NodeFull):
            await nodes.pull(name)
        assert nodes.heard.steps == []


async def test_a_busy_node_refuses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image_service, "AT_ONCE", 0)
    async with two(tmp_path) as nodes:
        name = committed(nodes.there, odd_tree(tmp_path / "odd"))
        with pytest.raises(Unavailable, match="as many images"):
            await nodes.pull(name)


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"\xff\xff\xff\xff",
        bytes.fromhex("00000004") + b"\x93\x02\x01\xc0",  # an answer without a value
        bytes.fromhex("00000003") + b"\x92\x05\x01",  # a ping
    ],
)
async def test_a_node_that_sends_something_else_is_left(tmp_path: Path, sent: bytes) -> None:
    async def serve(connection: PeerConnection) -> None:
        connection.pipe.write(sent)
        connection.pipe.close()
        await connection.pipe.closed()

    async with two(tmp_path, serve) as nodes:
        with pytest.raises(Unavailable, match="did not send the image"):
            await nodes.pull("0" * 64)


async def test_a_silent_node_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def serve(connection: PeerConnection) -> None:
        await connection.pipe.read_exactly(1)
        await connection.pipe.closed()

    monkeypatch.setattr("qvdnode.peer.image_pull.ANSWER_LIMIT_S", 0.3)
    async with two(tmp_path, serve) as nodes:
        with pytest.raises(Unavailable, match="nothing for too long"):
            await nodes.pull("0" * 64)


@pytest.mark.parametrize("name", ["pull_commit", "attach"])
async def test_a_caller_that_asks_for_something_else_is_refused(tmp_path: Path, name: str) -> None:
    async with two(tmp_path) as nodes:
        connection = await nodes.network.dialer(HERE).dial(THERE, Purpose.IMAGES)
        connection.pipe.write(encode(Call(1, name, {"commit": 5})))
        answer = await read_frame(connection.pipe)
        assert isinstance(answer, Failure)
        assert answer.code == "invalid"
        await connection.pipe.closed()
