"""Ends a guest's processes, then undoes what its bring-up made, newest first.

A step that fails is logged and retried with growing pauses until it succeeds: otherwise memory,
address or disk space of the guest would never be freed.
"""

import logging
from collections.abc import Awaitable, Callable

from qvdnode.model.display_params import DisplayParams
from qvdnode.model.errors import FarmError
from qvdnode.runtime.supervise import contained
from qvdnode.telemetry.metrics import Counter
from qvdnode.vm.core.start_record import StartRecord
from qvdnode.vm.dependencies import FleetDependencies, FleetState
from qvdnode.vm.display import session_script
from qvdnode.vm.resources import GuestResources

log = logging.getLogger(__name__)

RETRIES = Counter("qvdnode_vm_cleanup_retries", "Clean-up steps that failed and were tried again")

PAUSE_MAX_S = 30.0


async def shut_down(
    dependencies: FleetDependencies, guest: GuestResources, params: DisplayParams
) -> None:
    """Ask desktop and guest to end by themselves; the core sets the limit.

    A guest whose run folder is full or forged is asked all the same.
    """
    vm_id = guest.order.vm.id
    try:
        # The script reads them for every verb, and the guest may have damaged the file.
        session_script.write_params(dependencies, guest, params)
    except FarmError as error:
        log.warning("params_not_written", extra={"vm": vm_id, "because": str(error)})
    try:
        await session_script.run(dependencies, guest, "stop")
    except FarmError as error:
        log.warning("shut_down_failed", extra={"vm": vm_id, "because": str(error)})
    try:
        spec = session_script.spec_of(dependencies, guest)
        await dependencies.driver(guest).power_off(spec)
    except FarmError as error:
        log.warning("power_off_failed", extra={"vm": vm_id, "because": str(error)})


async def kill(dependencies: FleetDependencies, guest: GuestResources) -> None:
    """Return once no process of the guest is left."""
    spec = dependencies.spec(guest)
    if spec is not None:
        await _retry(dependencies, guest, "kill", lambda: dependencies.driver(guest).kill(spec))
    guest.process = None


async def keep_logs(
    dependencies: FleetDependencies, guest: GuestResources, reason: str, *, failed: bool
) -> None:
    """Keep why the guest ended and its logs, which go with it."""
    vm_id, generation = guest.order.vm.id, guest.generation
    if generation is None:
        return
    with contained("start_not_kept", vm=vm_id):
        try:
            tail = dependencies.run_folders.log_tail(vm_id)
        except FarmError:
            tail = ""  # it ended before it had a folder
        home = None if guest.root is None else guest.root.home
        record = StartRecord(
            vm_id,
            generation,
            dependencies.clock.now(),
            reason,
            failed,
            tail,
            guest.limits.reached,
        )
        await dependencies.past_starts.keep(record, home)


async def clean(dependencies: FleetDependencies, state: FleetState, guest: GuestResources) -> None:
    """Return once nothing of the guest is left on the host."""
    vm, port, generation = guest.order.vm, guest.port, guest.generation
    # All processes are gone, so another guest can get the address at once.
    if port is not None:
        await _retry(
            dependencies, guest, "network", lambda: dependencies.confinement.release(vm.id, port)
        )
        guest.port = None
    if generation is not None and guest.ids is not None:
        await _retry(
            dependencies, guest, "run_folder", lambda: dependencies.run_folders.remove(vm.id)
        )
        await _retry(
            dependencies,
            guest,
            "mount",
            lambda: dependencies.rootfs.unmount(vm.id, guest.order.user.id, generation),
        )
        # The ids last: files that belong to them exist until the mounts are gone.
        guest.root = None
        state.slots.free(guest.ids)
        guest.ids = None
    # The very last: a node that starts in the middle of this finds the file and goes on.
    state.state_files.remove(vm.id)


async def _retry(
    dependencies: FleetDependencies,
    guest: GuestResources,
    step: str,
    undo: Callable[[], Awaitable[object]],
) -> None:
    pause_s = dependencies.settings.retry_s
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
        await dependencies.clock.sleep(pause_s)
        pause_s = min(PAUSE_MAX_S, 2 * pause_s)
