"""`qvd ls` and `qvd connect` as a person runs them, against a server on loopback."""

import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from qvdnode.client.connect import fingerprint_at
from qvdnode.client.target import Target
from qvdnode.host import process
from qvdnode.runtime.clock import SystemClock
from tests.fakes.qvd_server import FakeQvdServer, answer, fake_qvd_server

ROW = {"id": 7, "name": "desk", "state": "running", "blocked": 1, "is_application": 0}


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[FakeQvdServer]:
    async with fake_qvd_server(tmp_path) as fake:
        fake.answers["/qvd/list_of_vm"] = answer(200, json.dumps([ROW]).encode())
        fake.answers["/qvd/list_of_applications"] = answer(200, b"[]")
        yield fake


async def qvd(folder: Path, *argv: str, stdin: bytes = b"secret\n") -> process.Finished:
    script = "from qvdnode.cli.qvd_program import main; main()"
    return await process.run(
        [sys.executable, "-c", script, *argv],
        stdin=stdin,
        env={"XDG_DATA_HOME": str(folder / "data"), "HOME": str(folder), "COLUMNS": "200"},
        check=False,
    )


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
