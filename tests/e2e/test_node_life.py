"""A node's own beginning and end: what it refuses to begin with, and what it leaves behind."""

import asyncio
import hashlib
import shutil
import signal
import socket
import ssl
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from qvdnode.host.id_reservations import holder_of
from qvdnode.host.kernel_limits import kernel_limits
from tests.e2e.conftest import Screen
from tests.e2e.test_desktop import viewing
from tests.harness.farm import furnish, until_vm
from tests.harness.host_traces import forwarding_is_held, forwards, traces
from tests.harness.node import NodeProcess, new_node
from tests.harness.node import test_root as state_root
from tests.harness.qvd import insecure_tls
from tests.harness.rest import Rest
from tests.harness.secrets_in_logs import secrets_in
from tests.waiting import until

pytestmark = pytest.mark.asyncio(loop_scope="session")

REFUSAL_LIMIT_S = 30.0
CONNECTING = ("vm_state", "desktop_ready", "stream_begun")


@pytest_asyncio.fixture(loop_scope="session")
async def other() -> AsyncIterator[NodeProcess]:
    """A node of the test's own, not started yet."""
    node = new_node(state_root(), node={"stop_guests": True})
    yield node
    if node.process is None:
        shutil.rmtree(node.state_dir)
    else:
        await node.remove()


async def refusal(node: NodeProcess) -> str:
    """What a node says that cannot start; it ends by itself, with an error, and leaves nothing."""
    await node.start(wait=False)
    assert node.process is not None
    code = await asyncio.wait_for(node.process.wait(), REFUSAL_LIMIT_S)
    assert code not in {0, -signal.SIGKILL}
    assert await until(lambda: traces(node) == set(), what=f"{traces(node)} to be gone")
    words = node.last_words()
    assert "Traceback" not in words
    return words.splitlines()[-1]


@pytest.mark.parametrize("section", ["clients", "admin"])
async def test_a_port_in_use_is_told_by_its_setting(other: NodeProcess, section: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        other.settings[section] = {"port": port}
        said = await refusal(other)
    assert said.startswith("qvdnode: ")
    assert f"[{section}]" in said
    assert str(port) in said
    other.settings[section] = {"port": 0}


@pytest.mark.parametrize(
    ("section", "key", "value"),
    [
        ("clients", "prot", 1),
        ("nodes", "name", "x"),
        ("vm", "boot_limit_s", "soon"),
        ("tls", "names", ["büro.example"]),
    ],
)
async def test_a_key_that_is_none_is_named(
    other: NodeProcess, section: str, key: str, value: object
) -> None:
    other.settings[section] = {key: value}
    said = await refusal(other)
    assert said.startswith("qvdnode: ")
    assert section in said
    assert section == "nodes" or key in said
    assert not (other.state_dir / "pg").exists()
    del other.settings[section]


P256 = ("ec", "-pkeyopt", "ec_paramgen_curve:P-256")
TOO_SMALL = ("rsa:1024",)


def make_certificate(folder: Path, name: str, kind: tuple[str, ...] = P256) -> None:
    """A new key and certificate in the folder, in place of those before."""
    subprocess.run(
        [
            "openssl", "req", "-x509", "-newkey", *kind,
            "-nodes", "-days", "30", "-subj", f"/CN={name}",
            "-keyout", str(folder / "key.pem"), "-out", str(folder / "chain.pem"),
        ],
        check=True, capture_output=True, timeout=60,
    )  # fmt: skip


async def shown_certificate(port: int) -> str:
    """The digest of the certificate that a new client sees."""
    _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=insecure_tls())
    tls = writer.get_extra_info("ssl_object")
    assert isinstance(tls, ssl.SSLObject)
    writer.close()
    return hashlib.sha256(tls.getpeercert(binary_form=True) or b"").hexdigest()


def correlations(node: NodeProcess, vm_id: int) -> set[str]:
    """The ids under which the log tells of a VM, from its start to the first byte of its stream."""
    told = [event for name in CONNECTING for event in node.events(name) if event["vm"] == vm_id]
    assert {event["event"] for event in told} == set(CONNECTING)
    return {event["correlation"] for event in told}


async def certificates_change(node: NodeProcess, rest: Rest, folder: Path) -> None:
    """A good certificate in the folder is served and told after a reload, a bad one is not."""
    assert node.process is not None
    ports = (node.client_port, (await node.serving()).admin_port)
    before = await shown_certificate(node.client_port)
    make_certificate(folder, "two.example")
    node.process.send_signal(signal.SIGHUP)
    await until(lambda: node.events("certificate_reloaded"), what="the certificate")
    renewed = await shown_certificate(node.client_port)
    assert renewed != before
    assert {await shown_certificate(port) for port in ports} == {renewed}
    told = (await node.serving()).fingerprint
    assert told.removeprefix("SHA256:") == renewed
    assert (await rest.get("/node"))["fingerprint"] == told

    (folder / "chain.pem").write_text("no certificate")
    node.process.send_signal(signal.SIGHUP)
    await until(lambda: len(node.events("certificate_not_reloaded")) == 1, what="its refusal")
    make_certificate(folder, "two.example", TOO_SMALL)
    node.process.send_signal(signal.SIGHUP)
    await until(lambda: len(node.events("certificate_not_reloaded")) == 2, what="the other's")
    assert {await shown_certificate(port) for port in ports} == {renewed}


async def test_a_day_of_a_node_ends_without_a_trace(
    other: NodeProcess, icewm_root: Path, screen: Screen, tmp_path: Path
) -> None:
    held, forwarded, low = forwarding_is_held(), forwards(), kernel_limits().low()
    make_certificate(tmp_path, "one.example")
    other.settings["tls"] = {
        "certificate": str(tmp_path / "chain.pem"),
        "key": str(tmp_path / "key.pem"),
    }
    await other.start()
    first, second = await furnish(other, icewm_root, 2)
    async with (
        viewing(first, screen, tmp_path / "first") as (_, viewer),
        viewing(second, screen, tmp_path / "second"),
        other.rest() as rest,
    ):
        await certificates_change(other, rest, tmp_path)
        assert not viewer.over.is_set()
        await until_vm(rest, first.vm_id, state="running", display="connected")
        assert await rest.metric("qvdnode_relay_streams") == 2
        assert await rest.metric("qvdnode_lease_valid") == 1
        assert await rest.metric("qvdnode_memory_promised_mib") == 2 * 512
        assert await rest.metric("qvdnode_host_memory_total_bytes") > 2**20
        assert len(correlations(other, first.vm_id)) == 1, "one request, one word to grep for"
        kinds = {trace.split()[0] for trace in traces(other)}
        assert kinds == {"mount", "loop", "link", "table", "group", "lock", "record", "process"}
        assert kernel_limits().low() == {}
        assert await other.stop() == 0
        await asyncio.wait_for(viewer.over.wait(), 30)
    assert traces(other) == set()
    if not held and not forwarding_is_held():
        assert (forwards(), kernel_limits().low()) == (forwarded, low)
    assert secrets_in(other) == []
    # A program of a guest that was killed may still be ending.
    await until(lambda: holder_of(other.ids) is None, limit_s=30)
    assert list((other.state_dir / "vms").iterdir()) == []
    other.settings.pop("tls")
