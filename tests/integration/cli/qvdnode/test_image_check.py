"""`qvdnode image check`: an image is booted, judged, and nothing of it is left."""

import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

from qvdnode.host import mounts, process
from tests.harness.node import test_root as state_root

SCRIPT = "from qvdnode.cli.qvdnode.program import main; main()"
FOLDERS = Path("/var/lib")
LIMIT_S = 150.0

pytestmark = pytest.mark.timeout(LIMIT_S)


async def checked(*words: str) -> tuple[process.Finished, dict[str, dict[str, Any]]]:
    """What the command said, and its findings by subject."""
    before = set(FOLDERS.glob("qvdnode-check-*"))
    environment = {name: value for name, value in os.environ.items() if name != "DISPLAY"}
    done = await process.run(
        [sys.executable, "-c", SCRIPT, "image", "check", *words, "--json"],
        env=environment, limit_s=LIMIT_S, check=False,
    )  # fmt: skip
    left = set(FOLDERS.glob("qvdnode-check-*")) - before
    assert not [folder for folder in left if mounts.under(folder)]
    findings = json.loads(done.stdout) if done.stdout else []
    return done, {finding["subject"]: finding for finding in findings}


async def test_an_image_is_booted_and_told_about(icewm_root: Path, tmp_path: Path) -> None:
    picture = tmp_path / "desktop.png"
    done, found = await checked(str(icewm_root), "--quick", "--picture", str(picture))
    assert done.returncode == 0, done
    assert found["display"]["level"] == "ok", found
    assert {name: found[f"driver {name}"]["level"] for name in ("lxc", "docker", "kvm")} == {
        "lxc": "ok", "docker": "ok", "kvm": "warning",
    }  # fmt: skip
    assert "--add kernel" in found["driver kvm"]["fix"]
    assert "es_ES.utf8" in found["locale"]["text"]
    assert "chinese" in found["fonts"]["text"]
    assert found["locking"]["text"] == "xdg-screensaver, loginctl disconnect the client"
    assert found["D-Bus"]["level"] == "ok"
    assert picture.read_bytes().startswith(b"\x89PNG")


async def test_a_root_without_a_session_is_refused_at_once() -> None:
    # Below a folder that nobody else can change, as the command asks for.
    root = state_root() / f"check-{os.getpid()}"
    (root / "usr/bin").mkdir(parents=True)
    try:
        done, found = await checked(str(root))
        assert done.returncode == 1
        assert found == {}
        assert b"--add-session puts ours in" in done.stderr
        assert b"apt-get install" in done.stderr
    finally:
        shutil.rmtree(root)
