"""The host's clock, in a host that has slept."""

import sys

from qvdnode.host import process

SLEPT_S = 1_000_000
CODE = """
import time
from qvdnode.runtime.clock import SystemClock
print(SystemClock().monotonic_s() - time.monotonic())
"""


async def test_the_time_in_which_the_host_slept_counts() -> None:
    """A lease must not look valid to a node whose host was suspended for longer than it lasts."""
    host = ["unshare", "--time", "--boottime", str(SLEPT_S)]
    said = await process.run([*host, sys.executable, "-c", CODE])
    assert float(said.stdout) > SLEPT_S - 1
