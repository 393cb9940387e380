"""A guest's session script: writes its parameters, runs its verbs, and skips a needless resume."""

import hashlib
import logging

from qvdnode.model import image_lack
from qvdnode.model.display_params import DisplayParams
from qvdnode.model.errors import FarmError, GuestFailed
from qvdnode.model.guest import GuestSpec
from qvdnode.model.image_lack import wishes_of
from qvdnode.vm.core.session_facts import session_params
from qvdnode.vm.dependencies import FleetDependencies, FleetState
from qvdnode.vm.resources import GuestResources
from qvdnode.wire import session_params as session_file
from qvdnode.wire.session_exit import SessionExit

log = logging.getLogger(__name__)


def spec_of(dependencies: FleetDependencies, guest: GuestResources) -> GuestSpec:
    """The spec that the driver has for the guest; raises GuestFailed once the guest is gone."""
    spec = dependencies.spec(guest)
    if spec is None:
        raise GuestFailed("The guest is gone.", step="session")
    return spec


def write_params(
    dependencies: FleetDependencies, guest: GuestResources, params: DisplayParams
) -> bytes:
    """Write the parameters, whatever the guest put in their place; returns what was written.

    Raises HostFailed.
    """
    instance = dependencies.instance
    facts = session_params(
        guest.order,
        params,
        prefix=instance.prefix,
        nameservers=instance.nameservers,
        search_domains=instance.search_domains,
        lacking=guest.lacking,
    )
    content = session_file.encode(facts)
    dependencies.run_folders.write_params(guest.order.vm.id, content)
    return content


async def run(dependencies: FleetDependencies, guest: GuestResources, verb: str) -> int:
    """Run the verb and return its exit code; raises GuestFailed, HostFailed, TimedOut."""
    limit_s = dependencies.settings.session_limit_s
    spec = spec_of(dependencies, guest)
    return await dependencies.driver(guest).run_session(spec, verb, limit_s=limit_s)


async def start(
    dependencies: FleetDependencies,
    state: FleetState,
    guest: GuestResources,
    params: DisplayParams,
) -> bool:
    """Start the display; returns whether one ran already. Raises GuestFailed, HostFailed, TimedOut.

    Records in `guest` how long it took.
    """
    clock = dependencies.clock
    began_s = clock.monotonic_s()
    try:
        await _look_what_lacks(dependencies, guest)
        write_params(dependencies, guest, params)
        # A new display has options of its own, so what the last resume wrote does not hold.
        _note_digest(dependencies, state, guest, None)
        code = await run(dependencies, guest, "start")
        if code not in {SessionExit.DONE, SessionExit.ALREADY_RUNNING}:
            raise _failed("start", code)
        return code == SessionExit.ALREADY_RUNNING
    finally:
        guest.steps["session"] = clock.monotonic_s() - began_s


async def prepare_resume(
    dependencies: FleetDependencies,
    state: FleetState,
    guest: GuestResources,
    params: DisplayParams,
) -> None:
    """Have the display read these parameters when it resumes; raises as `start`.

    The script is skipped when its last run was for the same parameters and still holds.
    """
    content = write_params(dependencies, guest, params)
    digest = hashlib.sha256(content).hexdigest()
    if digest == guest.resume_digest:
        return
    # A script that fails may have changed the options all the same.
    _note_digest(dependencies, state, guest, None)
    code = await run(dependencies, guest, "resume")
    if code not in {SessionExit.DONE, SessionExit.OPTIONS_HOLD}:
        raise _failed("resume", code)
    if code == SessionExit.OPTIONS_HOLD:
        _note_digest(dependencies, state, guest, digest)


async def _look_what_lacks(dependencies: FleetDependencies, guest: GuestResources) -> None:
    """Log what the flavour asks for and the image does not have; the desktop starts without."""
    vm_id, flavour = guest.order.vm.id, guest.order.flavour
    try:
        guest.lacking = await dependencies.contents.lacking_of(guest.order)
    except FarmError as error:
        log.warning("image_not_looked_at", extra={"vm": vm_id, "because": str(error)})
        return
    for sentence in image_lack.sentences(wishes_of(flavour), guest.lacking):
        log.warning("image_lacks", extra={"vm": vm_id, "image": flavour.image, "what": sentence})


def _note_digest(
    dependencies: FleetDependencies, state: FleetState, guest: GuestResources, digest: str | None
) -> None:
    # In the state file, too: after a restart of the node all clients come back at once.
    if digest == guest.resume_digest:
        return
    guest.resume_digest = digest
    record = guest.record(dependencies.boot_id)
    if record is None:  # the guest is being cleaned up
        return
    try:
        state.state_files.write(record)
    except FarmError as error:
        facts = {"vm": guest.order.vm.id, "because": str(error)}
        log.warning("resume_digest_not_written", extra=facts)


def _failed(verb: str, code: int) -> GuestFailed:
    return GuestFailed(
        f"The desktop could not be brought up: its session script's {verb} ended with {code}"
        " (see the VM's log).",
        step="session",
    )
