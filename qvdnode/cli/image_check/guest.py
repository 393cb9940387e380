"""Runs programs in the session of a desktop of this host, from outside, as root."""

import os
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Final

from qvdnode.cli.image_check.facts import Facts, parse
from qvdnode.host import idle_load, process
from qvdnode.model.errors import HostFailed

PROBE_LIMIT_S: Final = 30.0
PASSED: Final = (
    "DISPLAY", "HOME", "LANG", "LOGNAME", "PATH", "SHELL", "USER", "XDG_RUNTIME_DIR",
    "DBUS_SESSION_BUS_ADDRESS", "LIBGL_ALWAYS_INDIRECT", "PULSE_SERVER", "SSH_AUTH_SOCK",
    "XMODIFIERS", "QVD_RUN",
)  # fmt: skip
"""The variables of the session that a program gets."""


class GuestSession:
    """The session of a running desktop."""

    def __init__(self, vm_folder: Path) -> None:
        self._vm_folder = vm_folder

    def pids(self) -> list[int]:
        """The guest's processes, in the host's numbering. Blocks."""
        return idle_load.pids_of(self._vm_folder)

    async def facts(self) -> Facts:
        """What the image has, as its session sees it; raises HostFailed, TimedOut."""
        script = files(__package__).joinpath("probe.sh").read_bytes()
        done = await process.run(
            self._inside("sh", "-s"), stdin=script, limit_s=PROBE_LIMIT_S, check=False
        )
        return parse(done.stdout)

    async def ask(self, *command: str) -> int:
        """Run a command to its end; its exit code."""
        return await process.exit_code(self._inside(*command), limit_s=PROBE_LIMIT_S)

    def _inside(self, *command: str) -> list[str]:
        target, uid, variables = self._program()
        return [
            "nsenter", f"--target={target}", "--user", "--mount", "--pid", "--net", "--ipc",
            "--uts", f"--setuid={uid}", f"--setgid={uid}", "/usr/bin/env", "-i", *variables,
            *command,
        ]  # fmt: skip

    def _program(self) -> tuple[int, int, Sequence[str]]:
        """A program of the session: its pid, its user as the guest sees them, its settings.

        It is the one with the most of what sessions set: Xsession.d and the like come last.
        """
        found: list[tuple[int, int, list[str]]] = []
        for pid in self.pids():
            try:
                words = os.fsdecode(Path(f"/proc/{pid}/environ").read_bytes()).split("\0")
            except OSError:
                continue
            kept = [word for word in words if word.partition("=")[0] in PASSED]
            if any(word.startswith("DISPLAY=") for word in kept):
                found.append((len(kept), pid, kept))
        if not found:
            raise HostFailed("no program of the desktop's session runs")
        _, pid, variables = max(found)
        return pid, 1000, variables
