"""An attacker in a real guest: an ordinary user of it, or its root, with programs of its own."""

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from qvdnode.host import process
from qvdnode.model.guest import GuestSpec
from qvdnode.vm.drivers.lxc import ATTACH_CONFIG
from qvdnode.vm.drivers.lxc_control import Confined
from tests.fixtures_guest import RealGuests
from tests.harness.lxc_attach import monitors_network

PROGRAMS: Final = Path(__file__).with_name("programs")
USER: Final = 1000
"""The uid of the account that a desktop runs as."""
LIMIT_S: Final = 15.0 * float(os.environ.get("QVDTEST_SLOWNESS", "1"))
"""An attack ends by itself before that; see the programs."""


@dataclass
class Attacker:
    """Runs commands in one guest that is up."""

    guests: RealGuests
    spec: GuestSpec

    async def build(self, name: str) -> str:
        """Compile `programs/NAME.c` into the guest; the path there.

        The guest has the C library of the image, which is that of this host's release.
        """
        target = self.spec.root.root / "usr/local/bin" / name
        await process.run(["tcc", "-Wall", "-o", target, PROGRAMS / f"{name}.c"])
        target.chmod(0o755)
        return f"/usr/local/bin/{name}"

    async def as_user(self, command: str, *, limit_s: float = LIMIT_S) -> str:
        """What a shell of the ordinary user prints."""
        return await self._run(command, USER, limit_s)

    async def as_root(self, command: str, *, limit_s: float = LIMIT_S) -> str:
        """What a shell of the guest's root prints."""
        return await self._run(command, 0, limit_s)

    async def _run(self, command: str, uid: int, limit_s: float) -> str:
        lxc_folder = self.guests.folder / "lxc"
        with (
            tempfile.TemporaryFile() as said,
            monitors_network(self.guests.prefix, self.spec.name) as network,
        ):
            await process.exit_code(
                [
                    "/usr/bin/lxc-attach", "-n", self.spec.name, "-P", lxc_folder,
                    "-f", lxc_folder / ATTACH_CONFIG, "--clear-env",
                    f"--uid={uid}", f"--gid={uid}", "--", "sh", "-c", command,
                ],
                limit_s=limit_s,
                output=said,
                enter=Confined(network).enter,  # as the driver does
            )  # fmt: skip
            said.seek(0)
            return said.read().decode(errors="replace").strip()
