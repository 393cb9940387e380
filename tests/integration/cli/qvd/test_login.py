import asyncio
import contextlib
import json
import stat
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from qvdnode.admin import listener
from qvdnode.admin.parts import AdminParts
from qvdnode.admin.settings import AdminSettings
from qvdnode.runtime.clock import SystemClock
from qvdnode.tls.acceptor import listen
from qvdnode.tls.identity import NodeIdentity
from tests.harness.authority import Authority, Pair
from tests.integration.cli.qvd.conftest import Qvd
from tests.integration.cli.qvd.live_node import LiveNode

ROOT = Authority()
Renew = Callable[[Pair], None]

pytestmark = pytest.mark.postgres


def kept_in(config_home: Path) -> list[Path]:
    return list(config_home.glob("**/*.json"))


async def test_a_login_is_kept_for_its_owner_only(logged_in: Qvd, config_home: Path) -> None:
    kept = config_home / "qvd" / "admin-login.json"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert set(json.loads(kept.read_text())) == {"url", "fingerprint", "token", "ca", "others"}
    assert (await logged_in("tenant", "list")).exit_code == 0


async def test_without_a_login_the_command_says_what_to_do(qvd: Qvd) -> None:
    result = await qvd("tenant", "list")
    assert result.exit_code == 4
    assert "qvd login" in result.stderr


async def test_a_script_must_name_the_fingerprint(qvd: Qvd, node: LiveNode) -> None:
    result = await qvd("login", node.url, "--token-stdin", stdin=node.token)
    assert result.exit_code == 2
    assert f"--fingerprint {node.fingerprint}" in result.stderr


async def test_another_certificate_than_the_pinned_one_gets_nothing(
    qvd: Qvd, node: LiveNode
) -> None:
    other = "SHA256:" + "00" * 32
    words = ("login", node.url, "--fingerprint", other, "--token-stdin")
    result = await qvd(*words, stdin=node.token)
    assert result.exit_code == 4
    assert "another certificate" in result.stderr


@contextlib.asynccontextmanager
async def vouched_node(parts: AdminParts, folder: Path) -> AsyncIterator[tuple[LiveNode, Renew]]:
    """A node with a certificate of an authority's, and what gives it another one."""
    chain, key = ROOT.issue(("localhost",)).write(folder)
    identity = NodeIdentity(folder, SystemClock(), certificate=chain, key=key)
    identity.ensure(())
    socket = listen("127.0.0.1", 0, section="admin")
    url = f"https://localhost:{socket.getsockname()[1]}"
    _number, token = await parts.accounts.operators.issue("tests")

    def renew(pair: Pair) -> None:
        for old, new in zip((chain, key), pair.write(folder), strict=True):
            new.rename(old)
        identity.reload()

    serving = listener.serving(parts, SystemClock(), socket, identity.context, AdminSettings())
    async with serving:
        yield LiveNode(url, identity.fingerprint(), token), renew


async def test_a_node_that_an_authority_vouches_for_is_not_pinned(
    qvd: Qvd, parts: AdminParts, config_home: Path, tmp_path: Path
) -> None:
    file = ROOT.write(tmp_path)
    async with vouched_node(parts, tmp_path) as (node, renew):
        words = ("login", node.url, "--token-stdin")
        refused = await qvd(*words, stdin=node.token)
        assert (refused.exit_code, "--ca FILE" in refused.stderr) == (4, True)
        assert (await qvd(*words, "--ca", str(file), stdin=node.token)).exit_code == 0
        kept = json.loads(kept_in(config_home)[0].read_text())
        assert (kept["fingerprint"], kept["ca"]) == (None, str(file))
        renew(ROOT.issue(("localhost",)))
        assert (await qvd("tenant", "list")).exit_code == 0
        renew(ROOT.issue(("other.example",)))
        wrong_name = await qvd("tenant", "list")
        assert (wrong_name.exit_code, "other names" in wrong_name.stderr) == (4, True)
        renew(Pair.self_signed(("localhost",)))
        assert (await qvd("tenant", "list")).exit_code == 4
        file.unlink()
        assert "cannot be read" in (await qvd("tenant", "list")).stderr


async def test_the_systems_authorities_vouch_for_a_node(
    qvd: Qvd, parts: AdminParts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(ROOT.write(tmp_path)))
    async with vouched_node(parts, tmp_path) as (node, _renew):
        assert (await qvd("login", node.url, "--token-stdin", stdin=node.token)).exit_code == 0
        assert (await qvd("tenant", "list")).exit_code == 0


async def test_a_wrong_token_is_denied_and_not_kept(
    qvd: Qvd, node: LiveNode, config_home: Path
) -> None:
    words = ("login", node.url, "--fingerprint", node.fingerprint, "--token-stdin")
    result = await qvd(*words, stdin="wrong\n")
    assert result.exit_code == 4
    assert kept_in(config_home) == []


async def test_a_node_that_is_away_is_unavailable(qvd: Qvd) -> None:
    words = ("login", "https://127.0.0.1:1", "--fingerprint", "00" * 32, "--token-stdin")
    assert (await qvd(*words, stdin="x")).exit_code == 5
    assert (await qvd("login", "https://127.0.0.1:1")).exit_code == 5


async def test_a_node_that_says_nothing_is_given_up(
    qvd: Qvd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("qvdnode.cli.api_client.ANSWER_LIMIT_S", 0.3)
    identity = NodeIdentity(tmp_path / "tls", SystemClock())
    identity.ensure(["localhost"])

    async def stay_silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(stay_silent, "127.0.0.1", 0, ssl=identity.context())
    async with server:
        address = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
        words = ("login", address, "--fingerprint", identity.fingerprint(), "--token-stdin")
        result = await qvd(*words, stdin="x")
    assert (result.exit_code, "did not answer in time" in result.stderr) == (5, True)


async def test_a_server_that_is_no_admin_port_is_reported(qvd: Qvd, tmp_path: Path) -> None:
    identity = NodeIdentity(tmp_path / "tls", SystemClock())
    identity.ensure(["localhost"])

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: 5\r\n\r\nWhat?")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=identity.context())
    async with server:
        address = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
        words = ("login", address, "--fingerprint", identity.fingerprint(), "--token-stdin")
        result = await qvd(*words, stdin="x")
    assert (result.exit_code, "8444 unless configured" in result.stderr) == (5, True)


async def test_a_logout_forgets(logged_in: Qvd, config_home: Path) -> None:
    assert (await logged_in("logout")).exit_code == 0
    assert kept_in(config_home) == []
    assert "not logged in" in (await logged_in("logout")).output
    assert (await logged_in("tenant", "list")).exit_code == 4


AWAY = "https://127.0.0.1:1"


async def test_another_node_answers_when_the_first_is_away(qvd: Qvd, node: LiveNode) -> None:
    """The token is good at any; what is changed is not asked for twice."""
    pins = ("--fingerprint", f"SHA256:{'0' * 64}", "--fingerprint", node.fingerprint)
    words = ("login", AWAY, "--node", node.url, *pins, "--token-stdin")
    result = await qvd(*words, stdin=f"{node.token}\n")
    assert result.exit_code == 0, result.output
    made = await qvd("tenant", "create", "acme")
    assert made.exit_code == 0, made.output
    assert "acme" in (await qvd("tenant", "list")).stdout


async def test_all_nodes_are_away(qvd: Qvd, node: LiveNode) -> None:
    pin = f"SHA256:{'0' * 64}"
    words = ("login", AWAY, "--node", "https://127.0.0.1:2", "--fingerprint", pin)
    result = await qvd(*words, "--token-stdin", stdin="x\n")
    assert result.exit_code == 2
    assert "for every node, or for none" in result.stderr
    result = await qvd(*words, "--fingerprint", pin, "--token-stdin", stdin="x\n")
    assert "127.0.0.1:1 cannot be reached" in result.stderr
