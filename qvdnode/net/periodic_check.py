"""Checks periodically for changes by other programs on the host."""

import logging
from collections.abc import Awaitable, Callable
from typing import Final

from qvdnode.model.errors import HostFailed
from qvdnode.runtime.clock import Clock

log = logging.getLogger(__name__)

CHECK_EVERY_S: Final = 10.0


async def keep_checking(
    what: str,
    check: Callable[[], Awaitable[object]],
    clock: Clock,
    *,
    first_s: float = CHECK_EVERY_S,
) -> None:
    """Check until cancelled, first after `first_s`; a failed check is logged and repeated."""
    await clock.sleep(first_s)
    while True:
        await check_once(what, check)
        await clock.sleep(CHECK_EVERY_S)


async def check_once(what: str, check: Callable[[], Awaitable[object]]) -> None:
    """Check once; a failed check is logged."""
    try:
        await check()
    except HostFailed as error:
        log.warning("host_not_checked", extra={"what": what, "because": str(error)})
