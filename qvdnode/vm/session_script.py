"""A guest's session script: its parameters, written anew before each verb, and its verbs."""

# tested-by: tests/unit/vm/test_fleet_wishes.py

from qvdnode.model.display_params import DisplayParams
from qvdnode.model.errors import GuestFailed
from qvdnode.model.guest import GuestSpec
from qvdnode.vm.core.session_facts import session_params
from qvdnode.vm.guest import Guest
from qvdnode.vm.parts import FleetParts
from qvdnode.wire import session_params as session_file


def spec_of(parts: FleetParts, guest: Guest) -> GuestSpec:
    """What the driver was given for the guest; raises GuestFailed once it is gone."""
    spec = guest.spec(parts.settings.prefix, parts.run_folders.path(guest.order.vm.id))
    if spec is None:
        raise GuestFailed("The guest is gone.", step="session")
    return spec


def write_params(parts: FleetParts, guest: Guest, wishes: DisplayParams) -> bytes:
    """Tell the script what a client wishes, whatever the guest put there; what it was told.

    Raises HostFailed.
    """
    settings = parts.settings
    params = session_params(
        guest.order, wishes, prefix=settings.prefix, nameservers=settings.nameservers
    )
    text = session_file.encode(params)
    parts.run_folders.write_params(guest.order.vm.id, text)
    return text


async def run(parts: FleetParts, guest: Guest, verb: str) -> int:
    """The verb's exit code; raises GuestFailed, HostFailed, TimedOut."""
    limit_s = parts.settings.session_limit_s
    return await parts.driver.run_session(spec_of(parts, guest), verb, limit_s=limit_s)
