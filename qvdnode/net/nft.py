"""The kernel's packet rules, through libnftables: the only place that imports its binding.

Each change is one transaction: it takes effect whole or not at all. The library is not safe for
threads and its calls take milliseconds, so they run one at a time in a worker thread.
"""

# tested-by: tests/integration/net/test_confinement.py

import asyncio
import threading
from collections.abc import Sequence
from typing import Any

import nftables  # type: ignore[import-untyped] # the binding has no types; this module gives them

from qvdnode.model.errors import HostFailed
from qvdnode.net.core.expressions import Json
from qvdnode.telemetry.metrics import Histogram

TRANSACTION_SECONDS = Histogram(
    "qvdnode_nft_transaction_seconds",
    "How long a change of the packet rules took",
    buckets=(0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0),
)


class MissingRules(HostFailed):
    """A table, set or element that the change builds on is not there; nothing was changed."""


class Nft:
    """The rule set of the network namespace in which it is first used."""

    def __init__(self) -> None:
        self._library: Any = None
        self._lock = threading.Lock()

    async def change(self, commands: Sequence[Json]) -> None:
        """Run commands as one transaction; raises MissingRules, HostFailed."""
        with TRANSACTION_SECONDS.time():
            await asyncio.to_thread(self._run, list(commands))

    async def listing(self, what: Json) -> list[Json]:
        """What `{"list": what}` answers; raises MissingRules, HostFailed."""
        return await asyncio.to_thread(self._run, [{"list": what}])

    def _run(self, commands: list[Json]) -> list[Json]:
        with self._lock:
            code, output, error = self._open().json_cmd({"nftables": commands})
        if code != 0:
            raise _translated(str(error))
        found = output.get("nftables", []) if isinstance(output, dict) else []
        return [item for item in found if "metainfo" not in item]

    def _open(self) -> Any:  # noqa: ANN401 - the binding has no types
        if self._library is None:
            try:
                self._library = nftables.Nftables()
            except OSError as error:
                raise HostFailed(
                    f"libnftables cannot be loaded ({error}); install the package libnftables1"
                ) from error
            # Handles name a rule that is to be deleted.
            self._library.set_handle_output(True)
        return self._library


def _translated(error: str) -> HostFailed:
    reason = error.strip().splitlines()[0] if error.strip() else "no reason given"
    reason = reason.rpartition("Error: ")[2]
    if "No such file or directory" in reason:
        return MissingRules(f"the packet rules to change are not there: {reason}")
    return HostFailed(f"the kernel refused a change of the packet rules: {reason}")
