"""A node with a second driver, "memory", whose guests are objects of its process.

Their displays write into real run folders, so all but the driver is the node's own.
"""

import os
import sys
from pathlib import Path
from typing import Final

from qvdnode.daemon.config import Config
from qvdnode.daemon.drivers import DRIVERS
from qvdnode.daemon.load import load
from qvdnode.daemon.serve import run
from qvdnode.model.guest import GuestProcess, GuestSpec
from qvdnode.runtime.clock import Clock
from qvdnode.telemetry import logs
from qvdnode.vm.guest_driver import GuestDriver
from qvdnode.vm.instance import Instance
from qvdnode.vm.run_folder import LOG, PARAMS, PID
from tests.fakes.memory_driver import MemoryDriver, MemoryFolder, MemoryHost

PROGRAM: Final = ("-m", "tests.harness.two_drivers")


class FilesDriver(MemoryDriver):
    """A memory driver whose guests use the run folder that they are given."""

    async def launch(self, spec: GuestSpec) -> GuestProcess:
        """As any guest, with a folder whose log goes to the file."""
        folder = MemoryFolder(spec.ids)
        folder.readers.append(lambda text: _append(spec.run_folder / LOG, text))
        self.host.folders[spec.vm_id] = folder
        return await super().launch(spec)

    async def run_session(self, spec: GuestSpec, verb: str, *, limit_s: float) -> int:
        """Read the parameters that the node wrote, and leave the pid that it reads."""
        folder = self.host.folders[spec.vm_id]
        folder.params = (spec.run_folder / PARAMS).read_bytes()
        code = await super().run_session(spec, verb, limit_s=limit_s)
        if folder.display_pid is not None:
            (spec.run_folder / PID).write_text(f"{folder.display_pid}\n")
        return code


def _append(path: Path, text: str) -> None:
    with path.open("a") as file:
        file.write(text)


def _memory(_: Config, instance: Instance, __: Clock) -> GuestDriver:
    return FilesDriver(MemoryHost(), prefix=instance.prefix)


def main() -> None:
    """`serve --config FILE`, as `qvdnode` does it."""
    config = load(Path(sys.argv[-1]), os.environ)
    logs.setup(config.log.format, config.log.level)
    run(config, {"lxc": DRIVERS["lxc"], "memory": _memory})


if __name__ == "__main__":
    main()
