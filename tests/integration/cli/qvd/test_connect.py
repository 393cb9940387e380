"""`qvd ls` and `qvd connect` as a person runs them, against a server on loopback."""

import asyncio
import base64
import contextlib
import io
import json
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import typer

from qvdnode.cli.qvd.asking import confirmed
from qvdnode.client.connect import fingerprint_at
from qvdnode.client.target import Target
from qvdnode.client.x11_watch import WindowWatcher
from qvdnode.host import process
from qvdnode.host.child import Child
from qvdnode.runtime.clock import SystemClock
from tests.fakes.qvd_server import FakeQvdServer, answer, fake_qvd_server
from tests.harness.authority import Authority, Pair
from tests.harness.nxagent import agent, relay_to
from tests.harness.screen import bare_xvfb, xvfb
from tests.harness.terminal import at_terminal
from tests.waiting import until

ENDS_S = 10.0
SWITCH = (
    b"HTTP/1.1 102 Processing\r\nX-QVD-VM-Info: Starting virtual machine\r\n\r\n"
    b"HTTP/1.1 101 Switching Protocols\r\nX-QVD-Slave-Key: x\r\n\r\n"
)
ROW = {"id": 7, "name": "desk", "state": "running", "blocked": 1, "is_application": 0}


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[FakeQvdServer]:
    async with fake_qvd_server(tmp_path) as fake:
        fake.answers["/qvd/list_of_vm"] = answer(200, json.dumps([ROW]).encode())
        fake.answers["/qvd/list_of_applications"] = answer(200, b"[]")
        yield fake


def program(*words: str) -> list[str]:
    return [sys.executable, "-c", "from qvdnode.cli.qvd.program import main; main()", *words]


def home(folder: Path) -> dict[str, str]:
    """A person's surroundings."""
    return {
        "XDG_DATA_HOME": str(folder / "data"),
        "HOME": str(folder),
        "COLUMNS": "200",
        "USER": "bob",
        "LOGNAME": "bob",
    }


async def qvd(folder: Path, *argv: str, stdin: bytes = b"secret\n") -> process.Finished:
    return await process.run(program(*argv), stdin=stdin, env=home(folder), check=False)


@contextlib.asynccontextmanager
async def running(folder: Path, *argv: str) -> AsyncIterator[Child]:
    """`qvd` with the password on stdin, which runs until it is ended."""
    child = await process.spawn_piped(program(*argv), env=home(folder))
    assert child.stdin is not None
    try:
        child.stdin.write(b"secret\n")
        child.stdin.close()
        yield child
    finally:
        await process.end(child)


async def last_words(child: Child) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of a program that ends."""
    assert child.stdout is not None
    assert child.stderr is not None
    async with asyncio.timeout(ENDS_S):
        out, err = await asyncio.gather(child.stdout.read(), child.stderr.read())
        return await child.wait(), out.decode(), err.decode()


def ls(server: FakeQvdServer, *more: str) -> list[str]:
    address = f"127.0.0.1:{server.port}"
    return ["ls", address, "--user", "alice", "--password-file", "-", *more]


async def test_a_new_host_needs_somebody_to_confirm_it(
    server: FakeQvdServer, tmp_path: Path
) -> None:
    said = await qvd(tmp_path, *ls(server))
    assert said.returncode == 2
    assert b"nobody can confirm" in said.stderr
    assert server.heads == []


async def test_a_given_pin_is_remembered(server: FakeQvdServer, tmp_path: Path) -> None:
    pin = await fingerprint_at(Target("127.0.0.1", server.port), SystemClock())
    said = await qvd(tmp_path, *ls(server, "--pin", pin))
    assert said.returncode == 0
    assert said.stdout.splitlines()[1].split()[:3] == [b"7", b"desk", b"running"]
    assert said.stdout.rstrip().endswith(b"yes")  # offline for maintenance
    again = await qvd(tmp_path, *ls(server), "--json")
    assert again.returncode == 0
    assert [entry["name"] for entry in json.loads(again.stdout)] == ["desk"]


async def test_a_changed_certificate_ends_it(server: FakeQvdServer, tmp_path: Path) -> None:
    pin = await fingerprint_at(Target("127.0.0.1", server.port), SystemClock())
    await qvd(tmp_path, *ls(server, "--pin", pin))
    known = tmp_path / "data" / "qvdnode" / "known_servers"
    known.write_text(known.read_text().replace(pin, "SHA256:" + "0" * 64))
    server.heads.clear()
    said = await qvd(tmp_path, *ls(server))
    assert said.returncode == 4
    assert b"not the one expected" in said.stderr
    assert server.heads == []


async def test_insecure_is_not_remembered(server: FakeQvdServer, tmp_path: Path) -> None:
    assert (await qvd(tmp_path, *ls(server, "--insecure"))).returncode == 0
    assert (await qvd(tmp_path, *ls(server))).returncode == 2
    assert (await qvd(tmp_path, *ls(server, "--insecure", "--pin", "0" * 64))).returncode == 2


async def test_refusals_have_their_exit_codes(server: FakeQvdServer, tmp_path: Path) -> None:
    server.answers["/qvd/list_of_vm"] = answer(401)
    assert (await qvd(tmp_path, *ls(server, "--insecure"))).returncode == 4
    server.answers["/qvd/list_of_vm"] = answer(503, b"Later.")
    said = await qvd(tmp_path, *ls(server, "--insecure"))
    assert (said.returncode, b"Later." in said.stderr) == (5, True)


async def test_connect_wants_a_display_and_a_desktop_that_is_there(
    server: FakeQvdServer, tmp_path: Path
) -> None:
    words = ["connect", *ls(server, "--insecure")[1:]]
    said = await qvd(tmp_path, *words)
    assert (said.returncode, b"no X display" in said.stderr) == (2, True)
    said = await qvd(tmp_path, *words, "--display", ":9")
    assert (said.returncode, b"cannot be used: No such file" in said.stderr) == (5, True)
    said = await qvd(tmp_path, *words, "--display", ":9", "--vm", "other")
    assert (said.returncode, b"there is desk (7)" in said.stderr) == (3, True)


async def test_a_password_may_come_from_a_file(server: FakeQvdServer, tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("se:cret\nignored\n")
    address = f"127.0.0.1:{server.port}"
    words = ["ls", address, "--user", "alice", "--insecure", "--password-file"]
    assert (await qvd(tmp_path, *words, str(file))).returncode == 0
    assert "Basic YWxpY2U6c2U6Y3JldA==" in server.heads[-1]
    assert (await qvd(tmp_path, *words, str(tmp_path / "none"))).returncode == 2


def connect(server: FakeQvdServer, display: str, *more: str) -> list[str]:
    words = ["connect", *ls(server, "--insecure")[1:], "--vm", "desk", "--display", display]
    return [*words, *more]


@pytest.mark.nx
async def test_a_desktop_is_shown_with_the_requested_parameters(
    server: FakeQvdServer, tmp_path: Path
) -> None:
    server.answers["/qvd/connect_to_vm"] = SWITCH
    wishes = ("--geometry", "640x480", "--keyboard", "pc104/es", "--link", "lan", "--fullscreen")
    async with xvfb() as display, agent(tmp_path, 181) as port:
        over = asyncio.Event()
        relay_to(port, server, over)
        async with WindowWatcher(display, SystemClock()) as watcher:
            assert await watcher.count() == 0
            async with running(tmp_path, *connect(server, display, *wishes)) as child:
                await watcher.wait_new(ENDS_S)
                child.send_signal(signal.SIGINT)
                code, out, err = await last_words(child)
        over.set()
        await until(lambda: server.ended == server.connections)
    assert (code, out) == (0, "")
    assert err.splitlines()[0] == f"Connecting to 127.0.0.1:{server.port}"
    assert err.splitlines()[-2:] == ["Starting virtual machine", "Connected"]
    (head,) = (head for head in server.heads if "connect_to_vm" in head)
    for wish in ("geometry=640x480", "keyboard=pc104/es", "link=lan", "fullscreen=1"):
        assert f"qvd.client.{wish}" in head


@pytest.mark.nx
async def test_how_a_session_ended_is_told(server: FakeQvdServer, tmp_path: Path) -> None:
    server.answers["/qvd/connect_to_vm"] = SWITCH

    async def goodbye(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b" ")

    async def drop(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b" ")
        writer.transport.abort()

    async with bare_xvfb() as display:
        server.stream = goodbye
        said = await qvd(tmp_path, *connect(server, display))
        assert (said.returncode, said.stdout.startswith(b"The session ended")) == (0, True)
        server.stream, server.connections = drop, 0
        said = await qvd(tmp_path, *connect(server, display, "--reconnect-for", "0"))
    assert (said.returncode, b"qvd: The link dropped" in said.stderr) == (5, True)
    assert server.connections == 1


async def test_a_command_that_is_interrupted_is_not_done(
    server: FakeQvdServer, tmp_path: Path
) -> None:
    server.answers["/qvd/list_of_vm"] = b""  # never answers
    for words in (ls(server, "--insecure"), connect(server, ":9")):
        server.heads.clear()
        async with running(tmp_path, *words) as child:
            await until(lambda: server.heads, limit_s=ENDS_S)
            child.send_signal(signal.SIGINT)
            assert (await last_words(child))[:2] == (130, "")


async def test_without_a_login_it_is_the_local_one(server: FakeQvdServer, tmp_path: Path) -> None:
    words = [word for word in ls(server, "--insecure") if word not in {"--user", "alice"}]
    assert (await qvd(tmp_path, *words)).returncode == 0
    who = base64.b64encode(b"bob:secret").decode()
    assert f"Basic {who}\r\n" in server.heads[-1]


async def test_a_new_host_is_asked_about_beside_the_answer(
    server: FakeQvdServer, tmp_path: Path
) -> None:
    words = ("ls", f"127.0.0.1:{server.port}", "--user", "alice", "--json")
    answer_file = tmp_path / "answer"
    said = await at_terminal(home(tmp_path), *words, typed=("y", "secret"), into=answer_file)
    assert said.exit_code == 0, said.screen
    assert "is new here" in said.screen
    assert [entry["name"] for entry in json.loads(said.stdout)] == ["desk"]


HOSTILE = "x\x1b]52;c;ZXZpbA==\x07\x1b[2J\x9b31m\u202ey"


def steers_nothing(*said: bytes) -> bool:
    """Whether a terminal only shows it; "?" stands for what it would obey."""
    return all(line.isprintable() for text in said for line in text.decode().split("\n"))


@pytest.mark.parametrize("as_json", [False, True])
async def test_names_of_desktops_do_not_steer_the_terminal(
    server: FakeQvdServer, tmp_path: Path, as_json: bool
) -> None:
    row = {**ROW, "name": HOSTILE}
    server.answers["/qvd/list_of_vm"] = answer(200, json.dumps([row]).encode())
    said = await qvd(tmp_path, *ls(server, "--insecure", *(["--json"] if as_json else [])))
    assert said.returncode == 0
    assert b"52;c;ZXZpbA==" in said.stdout
    assert steers_nothing(said.stdout, said.stderr)


@pytest.mark.parametrize("for_programs", [False, True])
async def test_sentences_of_a_node_do_not_steer_the_terminal(
    server: FakeQvdServer, tmp_path: Path, for_programs: bool
) -> None:
    """Neither progress nor a refusal, whose first bytes alone are shown, nor a choice."""
    progress = f"HTTP/1.1 102 P\r\nX-QVD-VM-Info: one {HOSTILE}\r\n\r\n".encode()
    refusal = answer(403, f"two {HOSTILE} {'x' * 1_000_000}".encode())
    row = {**ROW, "name": f"three {HOSTILE}"}
    server.answers["/qvd/list_of_vm"] = answer(200, json.dumps([row]).encode())
    server.answers["/qvd/connect_to_vm"] = progress + refusal
    address = f"127.0.0.1:{server.port}"
    pin = await fingerprint_at(Target("127.0.0.1", server.port), SystemClock())
    async with bare_xvfb() as display:
        common = [address, "--user", "alice", "--pin", pin, "--display", display]
        argv = (
            [sys.executable, "-m", "qvdnode.client", *common]
            if for_programs
            else program("connect", *common, "--password-file", "-")
        )
        said = await process.run(argv, stdin=b"secret\n", env=home(tmp_path), check=False)
    assert said.returncode != 0
    whole = said.stdout + said.stderr
    assert all(word in whole for word in (b"one x", b"two x", b"three x")), whole[-2000:]
    assert len(whole) < 10_000
    assert steers_nothing(said.stdout, said.stderr)


def test_a_question_does_not_steer_the_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    with pytest.raises(typer.Abort):
        confirmed(f"Remove {HOSTILE}?")
    assert steers_nothing(capsys.readouterr().err.encode())


async def test_a_certificate_of_a_trusted_authority_needs_no_confirmation(tmp_path: Path) -> None:
    """Neither at first nor after a renewal, nor where the certificate was pinned before."""
    root = Authority()
    file = root.write(tmp_path)
    async with fake_qvd_server(tmp_path, context=root.issue().context(tmp_path)) as first:
        port = first.port
        assert await listed(tmp_path, first, "--ca", str(file))
        assert known_servers(tmp_path) == [f"127.0.0.1:{port} authority"]
        pin = await fingerprint_at(Target("127.0.0.1", port), SystemClock())
        assert await listed(tmp_path / "pinned", first, "--pin", pin)
    async with fake_qvd_server(tmp_path, port, root.issue().context(tmp_path)) as renewed:
        assert await listed(tmp_path, renewed, ca_of_environment=file)
        assert await listed(tmp_path / "pinned", renewed, "--ca", str(file))
        refused = await qvd(tmp_path / "elsewhere", *ls(renewed))
        assert (refused.returncode, b"--ca FILE" in refused.stderr) == (4, True)


async def test_who_was_vouched_for_does_not_fall_back_to_a_pin(tmp_path: Path) -> None:
    root = Authority()
    file = str(root.write(tmp_path))
    async with fake_qvd_server(tmp_path, context=root.issue().context(tmp_path)) as first:
        port = first.port
        assert await listed(tmp_path, first, "--ca", file)
    async with fake_qvd_server(tmp_path, port, Pair.self_signed().context(tmp_path)) as other:
        refused = await qvd(tmp_path, *ls(other, "--ca", file))
        assert refused.returncode == 4
        assert b"somebody may be in between" in refused.stderr
        assert other.heads == []
        pin = await fingerprint_at(Target("127.0.0.1", port), SystemClock())
        assert await listed(tmp_path, other, "--pin", pin)
        assert await listed(tmp_path, other)


def known_servers(folder: Path) -> list[str]:
    return (folder / "data" / "qvdnode" / "known_servers").read_text().splitlines()


async def listed(
    folder: Path, server: FakeQvdServer, *more: str, ca_of_environment: Path | None = None
) -> bool:
    """Whether the desktops were shown; nobody is there to confirm anything."""
    for path in ("/qvd/list_of_vm", "/qvd/list_of_applications"):
        server.answers[path] = answer(200, b"[]")
    environ = home(folder)
    if ca_of_environment is not None:
        environ["QVD_CA"] = str(ca_of_environment)
    said = await process.run(
        program(*ls(server, *more)), stdin=b"secret\n", env=environ, check=False
    )
    return said.returncode == 0
