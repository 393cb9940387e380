"""Retries checks of guests that fail for a reason of the node's own: no descriptor, memory, disk.

Such a failure says nothing about the guest, so it is no reason to end it.
"""

import logging
import math
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from qvdnode.model.errors import Conflict, FarmError, HostFailed, PartGone
from qvdnode.model.ids import VmId
from qvdnode.runtime.clock import Clock
from qvdnode.telemetry.metrics import Counter

log = logging.getLogger(__name__)

T = TypeVar("T")

REPEATED = Counter(
    "qvdnode_vm_checks_repeated",
    "Checks of guests that failed for a reason of the node's own and were repeated",
)

PAUSE_S: Final = 0.1
PAUSE_MAX_S: Final = 10.0
OWN_FAILURES: Final = (FarmError, OSError, MemoryError)
"""Except Conflict and PartGone, which do say something about the guest."""


def note(what: str, vm_id: VmId | None, error: BaseException) -> None:
    """Log and count a check that failed and will be repeated."""
    REPEATED.inc()
    log.warning("check_repeated", extra={"vm": vm_id, "what": what, "because": str(error)})


async def retry(
    clock: Clock,
    check: Callable[[], Awaitable[T]],
    *,
    what: str,
    vm_id: VmId | None = None,
    until_s: float = math.inf,
) -> T:
    """Return what `check` returns; retry while it fails, until that moment of the clock.

    Raises PartGone and Conflict at once, and HostFailed when the time is over.
    """
    pause_s = PAUSE_S
    while True:
        try:
            return await check()
        except (PartGone, Conflict):
            raise
        except OWN_FAILURES as error:
            note(what, vm_id, error)
            if clock.monotonic_s() >= until_s:
                raise HostFailed(f"{what}: {error}") from error
        await clock.sleep(pause_s)
        pause_s = min(PAUSE_MAX_S, 2 * pause_s)
