"""Strangers by the thousand at the administrators' port of a node with 1,000 descriptors."""

import asyncio
import contextlib
import resource
import socket
import ssl
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest
import pytest_asyncio

from tests.harness.farm import Desk, furnish
from tests.harness.node import NodeProcess, new_node, running_node
from tests.harness.node import test_root as state_root
from tests.integration.image.tiny_root import complete, stream, tar
from tests.waiting import until

pytestmark = pytest.mark.asyncio(loop_scope="session")

FILES_MAX: Final = 1_000
PORT_EVENTS: Final = 2_000
AT_ONCE: Final = 100
HEAD_LIMIT_S: Final = 15.0
"""So long that a slow machine can make them all before the first is closed."""
WINDOW_S: Final = 4.0
HALF_OPEN: Final = 4_000
HALF_OPEN_MIB: Final = 80
"""They take some 30 KiB each."""
HEALTH: Final = b"GET /healthz HTTP/1.1\r\nHost: node\r\n\r\n"
KINDS: Final = {
    "TLS done and silent": b"",
    "half a head": HEALTH[:20],
    "kept alive after an answer": HEALTH,
}


@dataclass
class Stranger:
    """One connection and what it says."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def ended(self) -> None:
        """Return when the node has closed it."""
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            while await self.reader.read(65536):
                pass


@pytest.fixture(scope="module", autouse=True)
def enough_descriptors_for_the_test_itself() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 20_000), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def poor(icewm_root: Path) -> AsyncIterator[Desk]:
    """A user's desk on a node with few descriptors and short limits."""
    limits = {"head_limit_s": HEAD_LIMIT_S, "idle_limit_s": HEAD_LIMIT_S}
    image = {"import_rate_window_s": WINDOW_S}
    node = new_node(state_root(), node={"stop_guests": True}, admin=limits, image=image)
    node.files_max = FILES_MAX
    try:
        await node.start()
        yield (await furnish(node, icewm_root, 1))[0]
    finally:
        await node.remove()


def descriptors(node: NodeProcess) -> int:
    """How many the node has open."""
    assert node.process is not None
    return len(list(Path(f"/proc/{node.process.pid}/fd").iterdir()))


async def crowd(port: int, said: bytes) -> list[Stranger]:
    """All strangers of one kind; those that the node has ended meanwhile, too."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    made: list[Stranger] = []
    slots = asyncio.Semaphore(AT_ONCE)

    async def come() -> None:
        async with slots:
            with contextlib.suppress(ConnectionError, ssl.SSLError):
                made.append(
                    Stranger(*await asyncio.open_connection("127.0.0.1", port, ssl=context))
                )
                made[-1].writer.write(said)

    await asyncio.gather(*(come() for _ in range(PORT_EVENTS)))
    return made


@pytest.mark.parametrize("kind", KINDS)
async def test_silent_strangers_cost_neither_clients_nor_operators_nor_starts(
    poor: Desk, kind: str
) -> None:
    assert poor.node.said is not None
    strangers = await crowd(poor.node.said.admin_port, KINDS[kind])
    try:
        assert descriptors(poor.node) < FILES_MAX / 2
        async with poor.node.rest() as rest:
            assert await rest.status("/readyz") == 200
            await rest.post(f"/vms/{poor.vm_id}/start?wait=true")
            async with poor.dial() as client:
                assert (await client.ask("/qvd/list_of_vm")).status == 200
                assert (await client.connect(poor.vm_id)).status == 101
            await rest.post(f"/vms/{poor.vm_id}/stop?wait=true")
        async with asyncio.timeout(HEAD_LIMIT_S + 10):
            await asyncio.gather(*(stranger.ended() for stranger in strangers))
    finally:
        for stranger in strangers:
            stranger.writer.transport.abort()
    await until(lambda: descriptors(poor.node) < 100)


async def test_a_thousand_descriptors_are_told_to_be_few(poor: Desk) -> None:
    told = poor.node.events("descriptors_scarce")
    assert told
    assert told[0]["limit"] == FILES_MAX
    assert "LimitNOFILE" in told[0]["fix"]


async def test_two_trickling_uploads_do_not_keep_a_third_out(poor: Desk) -> None:
    trickling = [asyncio.create_task(trickle(poor.node, name)) for name in ("slow1", "slow2")]
    try:
        async with poor.node.rest() as rest:
            await until(lambda: half_images(poor.node) == 2, what="both turns to be taken")
            async with asyncio.timeout(WINDOW_S + 20):
                content = stream(tar(complete()), 1 << 20)
                (*_, last) = await rest.call("POST", "/images/honest/versions", data=content)
            assert '"version"' in last, last
            said = await asyncio.gather(*trickling)
    finally:
        for task in trickling:
            task.cancel()
    assert all("timed_out" in last and "KiB/s" in last for last in said), said


async def trickle(node: NodeProcess, name: str) -> str:
    """Send an image a byte a second; the last line of the answer."""

    async def content() -> AsyncIterator[bytes]:
        yield tar(complete())[:512]
        while True:
            await asyncio.sleep(1)
            yield b"\0"

    async with node.rest() as rest:
        (*_, last) = await rest.call("POST", f"/images/{name}/versions", data=content())
    return str(last)


async def test_memory_of_half_open_connections_is_given_back() -> None:
    crowded = {"unauthenticated_per_source": HALF_OPEN, "unauthenticated_total": HALF_OPEN}
    async with running_node(state_root(), node={"stop_guests": True}, clients=crowded) as node:
        before_mib, hello = resident_mib(node), client_hello()
        with contextlib.ExitStack() as half_open:
            for _ in range(HALF_OPEN):
                dialled = socket.create_connection(("127.0.0.1", node.client_port), timeout=60)
                half_open.enter_context(dialled)
                dialled.sendall(hello)
            await until(lambda: resident_mib(node) > before_mib + HALF_OPEN_MIB, limit_s=30)
        await until(lambda: resident_mib(node) < before_mib + HALF_OPEN_MIB / 2, limit_s=30)


def client_hello() -> bytes:
    """What a client sends first."""
    coming, going = ssl.MemoryBIO(), ssl.MemoryBIO()
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with contextlib.suppress(ssl.SSLWantReadError):
        context.wrap_bio(coming, going).do_handshake()
    return going.read()


def resident_mib(node: NodeProcess) -> int:
    """The memory of the node's own process."""
    assert node.process is not None
    status = Path(f"/proc/{node.process.pid}/status").read_text()
    (line,) = [line for line in status.splitlines() if line.startswith("VmRSS:")]
    return int(line.split()[1]) // 1024


def half_images(node: NodeProcess) -> int:
    """How many imports go on."""
    return len(list((node.state_dir / "images").glob(".staging-*")))
