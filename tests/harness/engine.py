"""A Docker engine of the tests' own: its own folders, socket and pid file, no network, no rules."""

import contextlib
import json
import os
import secrets
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from qvdnode.host import mounts

BEGIN_S: Final = 60.0
END_S: Final = 60.0
PAUSE_S: Final = 0.05
PROGRAM: Final = Path("/usr/sbin/dockerd")


class DockerEngine:
    """Starts, stops, stalls and kills one dockerd; its containers outlive it."""

    def __init__(self) -> None:
        self.folder = Path("/var/tmp") / f"qvdtest-docker-{secrets.token_hex(3)}"
        self.socket = self.folder / "docker.sock"
        self._config = self.folder / "daemon.json"
        self._process: subprocess.Popen[bytes] | None = None
        self._runtimes: dict[str, dict[str, str]] = {}

    def start(self) -> None:
        """Start the engine and return when it listens."""
        self.folder.mkdir(mode=0o755, exist_ok=True)
        self._write_config()
        argv = [
            # It ends with the run of pytest that started it, however that ends.
            "setpriv", "--pdeathsig", "TERM", "--", str(PROGRAM),
            "--config-file", str(self._config), "--data-root", str(self.folder / "data"),
            "--exec-root", str(self.folder / "run"), "--pidfile", str(self.folder / "pid"),
            "--host", f"unix://{self.socket}", "--bridge=none", "--iptables=false",
        ]  # fmt: skip
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        self._wait(lambda: self.ask("_ping") == "OK", BEGIN_S)

    def offer(self, name: str, program: Path) -> None:
        """Let containers ask for that runtime, as an administrator does: without a restart."""
        self._runtimes[name] = {"path": str(program)}
        self._write_config()
        self.send(signal.SIGHUP)
        self._wait(lambda: f'"{name}"' in self.ask("info"), BEGIN_S)

    def send(self, number: signal.Signals) -> None:
        """Send it to the engine's process."""
        if self._process is None:
            raise AssertionError("the engine was not started")
        self._process.send_signal(number)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        """End the engine's process, and return when it has ended."""
        if self._process is not None:
            self.send(number)
            self._process.wait(END_S)
            self._process = None

    def ask(self, path: str, *curl: str) -> str:
        """What it answers at a path of its interface; empty when it does not."""
        argv = ["curl", "--silent", "--max-time", "20", "--unix-socket", str(self.socket), *curl]
        done = subprocess.run([*argv, f"http://engine/{path}"], capture_output=True, check=False)
        return done.stdout.decode(errors="replace")

    def containers(self) -> list[dict[str, Any]]:
        """All that it has, whoever made them."""
        found: list[dict[str, Any]] = json.loads(self.ask("containers/json?all=1"))
        return found

    def remove(self) -> None:
        """End it and all that it started, and remove what it kept."""
        with contextlib.suppress(ValueError):
            for container in self.containers():
                self.ask(f"containers/{container['Id']}?force=1", "-X", "DELETE")
        with contextlib.suppress(subprocess.TimeoutExpired, ProcessLookupError):
            self.stop()
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        for point in sorted(mounts.under(self.folder), reverse=True):
            mounts.unmount(point)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _write_config(self) -> None:
        staging = self._config.with_suffix(".new")
        staging.write_text(json.dumps({"live-restore": True, "runtimes": self._runtimes}))
        staging.replace(self._config)

    def _wait(self, condition: Any, limit_s: float) -> None:
        end = time.monotonic() + limit_s
        while not condition():
            if self._process is None or self._process.poll() is not None or time.monotonic() > end:
                raise AssertionError(f"the engine: {(self.folder / 'log').read_text()[-3000:]}")
            time.sleep(PAUSE_S)


@contextlib.contextmanager
def docker_engine() -> Iterator[DockerEngine]:
    """One that runs, and that nothing is left of afterwards."""
    if os.geteuid() != 0:
        raise AssertionError("tests with a Docker engine need root")
    engine = DockerEngine()
    try:
        engine.start()
        yield engine
    finally:
        engine.remove()
