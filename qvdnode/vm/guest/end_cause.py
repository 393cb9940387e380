"""Asks a guest's driver why the guest ended by itself, and says so: log and metric."""

import logging
from typing import Final

from qvdnode.model.errors import FarmError
from qvdnode.model.guest import GuestFault
from qvdnode.telemetry.metrics import Counter
from qvdnode.vm.dependencies import FleetDependencies
from qvdnode.vm.guest_driver import Explaining
from qvdnode.vm.resources import GuestResources

log = logging.getLogger(__name__)

FAULTS: Final = Counter(
    "qvdnode_guest_faults", "Guests that ended by themselves, by what ended them", ["fault"]
)
for each in GuestFault:
    FAULTS.labels(each)  # shown from the start, as 0


async def told(dependencies: FleetDependencies, guest: GuestResources) -> str | None:
    """Why a guest that is gone ended, as a clause; None when its driver does not know."""
    spec = dependencies.spec(guest)
    driver = dependencies.driver(guest)
    if spec is None or not isinstance(driver, Explaining):
        return None
    vm_id = guest.order.vm.id
    try:
        cause = await driver.end_cause(spec)
    except FarmError as error:
        log.info("guest_end_not_explained", extra={"vm": vm_id, "because": str(error)})
        return None
    if cause is None:
        return None
    FAULTS.labels(cause.fault).inc()
    log.warning(
        "guest_fault", extra={"vm": vm_id, "fault": cause.fault.value, "because": cause.because}
    )
    return cause.because
