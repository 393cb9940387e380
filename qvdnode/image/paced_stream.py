"""A stream whose sender must keep a minimum rate."""

from collections.abc import AsyncIterator

from qvdnode.image.core.pace import Pace
from qvdnode.model.errors import TimedOut
from qvdnode.runtime.clock import Clock
from qvdnode.runtime.time_limit import TimeLimit


async def paced(
    chunks: AsyncIterator[bytes], *, kib_per_s_min: int, window_s: float, clock: Clock
) -> AsyncIterator[bytes]:
    """Yield the same chunks; raises TimedOut when the rate is too low for a whole window."""
    pace = Pace(bytes_per_s_min=kib_per_s_min * 1024, window_s=window_s)
    too_slow = (
        f"Less than {kib_per_s_min} KiB/s came in {window_s:g} s;"
        " send it again over a faster connection."
    )
    while True:
        began_s = clock.monotonic_s()
        try:
            async with TimeLimit(pace.patience_s):
                chunk = await anext(chunks, None)
        except TimeoutError as error:
            raise TimedOut(too_slow) from error
        if chunk is None:
            return
        if not pace.took(len(chunk), clock.monotonic_s() - began_s):
            raise TimedOut(too_slow)
        yield chunk
