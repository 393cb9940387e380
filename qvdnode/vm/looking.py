"""Looks at guests that fail for a reason of the node's own: no descriptor left, no memory, a disk.

Such a failure tells nothing about the guest, so it never ends one: the look is repeated.
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
    "qvdnode_vm_looks_repeated",
    "Looks at guests that failed for a reason of the node's own and were repeated",
)

PAUSE_S: Final = 0.1
PAUSE_MAX_S: Final = 10.0
OWN_FAILURES: Final = (FarmError, OSError, MemoryError)
"""Of which Conflict and PartGone tell something about the guest all the same."""


def note(what: str, vm_id: VmId | None, error: BaseException) -> None:
    """Log and count a look that failed and will be repeated."""
    REPEATED.inc()
    log.warning("look_repeated", extra={"vm": vm_id, "what": what, "because": str(error)})


def next_pause_s(pause_s: float) -> float:
    """The pause after one of that length."""
    return min(PAUSE_MAX_S, 2 * pause_s)


async def repeated(
    clock: Clock,
    look: Callable[[], Awaitable[T]],
    *,
    what: str,
    vm_id: VmId | None = None,
    until_s: float = math.inf,
) -> T:
    """What `look` answers, repeated while it fails, until that moment of the clock.

    Raises PartGone and Conflict at once, and HostFailed when the time is over.
    """
    pause_s = PAUSE_S
    while True:
        try:
            return await look()
        except (PartGone, Conflict):
            raise
        except OWN_FAILURES as error:
            note(what, vm_id, error)
            if clock.monotonic_s() >= until_s:
                raise HostFailed(f"{what}: {error}") from error
        await clock.sleep(pause_s)
        pause_s = next_pause_s(pause_s)
