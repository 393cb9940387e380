"""Finds out whether KVM runs guests on this host, by booting a kernel with it.

/dev/kvm says little: in a machine of a cloud it can be there, answer, and still run nothing. What
was found is kept in a file, since a kernel that does not boot takes the whole time limit.
"""

import asyncio
import json
import logging
import os
from pathlib import Path
from typing import Final

from qvdnode.host import boot as host_boot
from qvdnode.host import process
from qvdnode.model.errors import FarmError
from qvdnode.runtime.shield import run_shielded
from qvdnode.vm.core import kvm_argv
from qvdnode.vm.core.kvm_argv import Accelerator, Machine
from qvdnode.vm.drivers.machine_boot import BootFiles

log = logging.getLogger(__name__)

KVM: Final = Path("/dev/kvm")
PROBE_LIMIT_S: Final = 15.0
NOBODY: Final = 65_534
BOOTED: Final = b"qvd: the kernel runs"
KEPT: Final = "accelerator.json"
SLOW: Final = "its machines are about ten times slower than this host, since {because}"
NO_DEVICE: Final = "this host has no /dev/kvm"
NOT_BOOTED: Final = "no kernel boots with its /dev/kvm"
TURN_ON: Final = (
    "Turn on virtualisation in the firmware, or nested virtualisation on the host of this machine;"
    " then load kvm_intel or kvm_amd and start the node again."
)


class AcceleratorProbe:
    """Knows what machines are run with on this host."""

    def __init__(self, folder: Path, fixed: Accelerator | None) -> None:
        """Keeps what it finds in `folder`; with `fixed` it looks for nothing."""
        self._file = folder / KEPT
        self._fixed = fixed
        self._found: Accelerator | None = None
        self._looking = asyncio.Lock()

    def warning(self) -> tuple[str, str]:
        """Say that machines are slow here, and what to do; two empty strings when they are not.

        Before the first start of a machine only what is plain to see.
        """
        known = self._fixed or self._found or self._kept()
        if not KVM.exists():
            return SLOW.format(because=NO_DEVICE), TURN_ON
        if known is Accelerator.TCG:
            return SLOW.format(because=NOT_BOOTED), TURN_ON
        return "", ""

    async def get(self, boot: BootFiles) -> Accelerator:
        """What to run a machine with; boots that kernel if it is not known yet."""
        async with self._looking:
            if self._fixed is not None:
                return self._fixed
            known = self._found or self._kept()
            self._found = known if known is not None else await run_shielded(self._look(boot))
            return self._found

    async def _look(self, boot: BootFiles) -> Accelerator:
        boots = KVM.exists() and await self._boots(boot)
        found = Accelerator.KVM if boots else Accelerator.TCG
        level = logging.INFO if boots else logging.WARNING
        log.log(level, "accelerator_found", extra={"accelerator": found.value})
        text = json.dumps({"boot": host_boot.boot_id(), "accelerator": found.value})
        try:
            self._file.write_text(text, encoding="utf-8")
        except OSError as error:
            log.warning("accelerator_not_kept", extra={"because": str(error)})
        return found

    async def _boots(self, boot: BootFiles) -> bool:
        group = KVM.stat().st_gid
        machine = Machine(
            str(boot.kernel), str(boot.initramfs), Accelerator.KVM, os.cpu_count() or 1, group
        )
        argv = kvm_argv.probe_argv(machine, NOBODY)
        try:
            said = await process.run(argv, limit_s=PROBE_LIMIT_S, check=False)
        except FarmError as error:
            log.info("kvm_does_not_boot", extra={"because": str(error)})
            return False
        return BOOTED in said.stdout

    def _kept(self) -> Accelerator | None:
        """What an earlier process found since the host was started."""
        try:
            found = json.loads(self._file.read_text(encoding="utf-8"))
            if found["boot"] == host_boot.boot_id():
                return Accelerator(found["accelerator"])
        except (OSError, ValueError, KeyError, TypeError):
            pass
        return None
