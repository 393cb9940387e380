"""The way back: end a guest's processes, then undo what its bring-up made, newest first.

Nothing here gives up: a step that fails is logged and tried again, more and more slowly, because
what is left would be somebody's memory, address or disk for ever.
"""

# tested-by: tests/unit/vm/test_fleet.py

import logging
from collections.abc import Awaitable, Callable

from qvdnode.model.display_params import DisplayParams
from qvdnode.model.errors import FarmError
from qvdnode.runtime.supervise import contained
from qvdnode.telemetry.metrics import Counter
from qvdnode.vm import session_script
from qvdnode.vm.bring_up import SharedParts
from qvdnode.vm.guest import Guest
from qvdnode.vm.parts import FleetParts

log = logging.getLogger(__name__)

RETRIES = Counter("qvdnode_vm_cleanup_retries", "Clean-up steps that failed and were tried again")

PAUSE_MAX_S = 30.0


async def shut_down(parts: FleetParts, guest: Guest, wishes: DisplayParams) -> None:
    """Ask desktop and guest to end by themselves; the actor sets the limit.

    A guest whose run folder is full or forged is asked all the same.
    """
    vm_id = guest.order.vm.id
    try:
        session_script.write_params(parts, guest, wishes)
    except FarmError as error:
        log.warning("params_not_renewed", extra={"vm": vm_id, "because": str(error)})
    try:
        await session_script.run(parts, guest, "stop")
    except FarmError as error:
        log.warning("shut_down_failed", extra={"vm": vm_id, "because": str(error)})
    try:
        await parts.driver.power_off(session_script.spec_of(parts, guest))
    except FarmError as error:
        log.warning("power_off_failed", extra={"vm": vm_id, "because": str(error)})


async def kill(parts: FleetParts, guest: Guest) -> None:
    """Return once no process of the guest is left."""
    spec = guest.spec(parts.settings.prefix, parts.run_folders.path(guest.order.vm.id))
    if spec is not None:
        await _insist(parts, guest, "kill", lambda: parts.driver.kill(spec))
    guest.process = None


async def clean(parts: FleetParts, guest: Guest, shared: SharedParts) -> None:
    """Return once nothing of the guest is left on the host."""
    vm, port, generation = guest.order.vm, guest.port, guest.generation
    if port is not None:
        await _insist(parts, guest, "network", lambda: parts.confinement.release(vm.id, port))
        guest.port = None
    if generation is not None and guest.ids is not None:
        await _insist(parts, guest, "run_folder", lambda: parts.run_folders.remove(vm.id))
        await _insist(
            parts,
            guest,
            "mount",
            lambda: parts.rootfs.unmount(vm.id, guest.order.user.id, generation),
        )
        guest.root = None
        shared.slots.free(guest.ids)
        guest.ids = None
    shared.state_files.remove(vm.id)


async def _insist(
    parts: FleetParts, guest: Guest, step: str, undo: Callable[[], Awaitable[object]]
) -> None:
    pause_s = parts.settings.retry_s
    while True:
        with contained("cleanup_failed", vm=guest.order.vm.id, step=step):
            try:
                await undo()
            except FarmError as error:
                log.warning(
                    "cleanup_retried",
                    extra={"vm": guest.order.vm.id, "step": step, "because": str(error)},
                )
            else:
                return
        RETRIES.inc()
        await parts.clock.sleep(pause_s)
        pause_s = min(PAUSE_MAX_S, 2 * pause_s)
