"""A server for clients on loopback, and programs in nxproxy's place."""

import json
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from qvdnode.client.core import sandbox
from tests.fakes.qvd_server import FakeQvdServer, answer, fake_qvd_server
from tests.integration.client.people import ROW, SWITCH, StandIn


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[FakeQvdServer]:
    async with fake_qvd_server(tmp_path) as fake:
        fake.answers["/qvd/list_of_vm"] = answer(200, json.dumps([ROW]).encode())
        fake.answers["/qvd/list_of_applications"] = answer(200, b"[]")
        fake.answers["/qvd/connect_to_vm"] = SWITCH
        yield fake


@pytest.fixture
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StandIn:
    """Puts a shell script in nxproxy's place; it may read the test's folder in its sandbox."""
    folder = tmp_path / "bin"
    folder.mkdir()

    def write(script: str) -> None:
        (folder / "nxproxy").write_text(f"#!/bin/sh\n{script}\n")
        (folder / "nxproxy").chmod(0o755)

    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    monkeypatch.setattr(sandbox, "READABLE", (*sandbox.READABLE, str(tmp_path)))
    return write
