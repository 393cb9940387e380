"""Measures whether a guest has reached its limits, and says so: log, metric, and to its user."""

import logging
from typing import Final

from qvdnode.model.errors import FarmError
from qvdnode.telemetry.metrics import Counter
from qvdnode.vm.core import guest_limits
from qvdnode.vm.core.guest_limits import Measured, Notice
from qvdnode.vm.dependencies import FleetDependencies
from qvdnode.vm.display import session_script
from qvdnode.vm.resources import GuestResources
from qvdnode.wire.session_exit import SessionExit

log = logging.getLogger(__name__)

REACHED: Final = Counter(
    "qvdnode_guest_limits_reached",
    "Killed programs, refused forks and full disks of guests, by limit.",
    ["limit"],
)
for each in guest_limits.GuestLimit:
    REACHED.labels(each)  # shown from the start, as 0


def measure(dependencies: FleetDependencies, guest: GuestResources) -> Measured | None:
    """What the guest has used up; None when it is gone. Blocks for four short system calls."""
    spec = dependencies.spec(guest)
    if spec is None or guest.process is None:
        return None
    try:
        counted = dependencies.driver(guest).limit_events(spec)
        free = dependencies.rootfs.free_space(spec.root)
    except FarmError as error:
        log.debug("limits_not_measured", extra={"vm": spec.vm_id, "because": str(error)})
        return None
    return Measured(
        counted.killed, counted.forks_refused, free.root_bytes, free.home_bytes, counted.hangs
    )


def count(dependencies: FleetDependencies, guest: GuestResources, measured: Measured) -> None:
    """Count what was measured; log what is new, and have it told to the user."""
    clock, vm_id = dependencies.clock, guest.order.vm.id
    news = guest.limits.take(measured, clock.now(), clock.monotonic_s())
    for limit, more in news.grown:
        REACHED.labels(limit).inc(more)
    for reached in news.tell:
        limit = reached.limit
        log.warning(
            "guest_limit_reached",
            extra={
                "vm": vm_id,
                "user": guest.order.user.login,
                "limit": limit,
                "count": reached.count,
                "fix": guest_limits.FIXES[limit],
            },
        )
        guest.notices.add(Notice(limit, guest_limits.sentence(limit, guest.order.flavour)))


async def show_notice(dependencies: FleetDependencies, guest: GuestResources) -> None:
    """Show the user one sentence that waits; one that cannot be shown is tried again later."""
    notice = guest.notices.next()
    if notice is None:
        return
    vm_id = guest.order.vm.id
    try:
        dependencies.run_folders.write_notice(vm_id, notice.text.encode())
        code = await session_script.run(dependencies, guest, "notify")
    except FarmError as error:
        log.info("notice_not_shown", extra={"vm": vm_id, "because": str(error)})
        guest.notices.failed(notice)
        return
    if code == SessionExit.DONE:
        log.debug("notice_shown", extra={"vm": vm_id, "limit": notice.limit})
        return
    # UNKNOWN_VERB too: a shell that cannot fork ends with the same code, and an older image's
    # script, which can show none, is asked a few times in vain.
    guest.notices.failed(notice)
