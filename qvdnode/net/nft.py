"""Changes the kernel's packet rules through libnftables; only this module imports its binding.

Each change is one transaction: it takes effect whole or not at all. The library is not safe for
threads and its calls take milliseconds, so they run one at a time, each in a thread of its own. A
call that does not return in time is abandoned together with its context of the library; the next
call gets a new one.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Final

import nftables  # type: ignore[import-untyped] # the binding has no types; this module gives them

from qvdnode.host.own_thread import in_own_thread
from qvdnode.model.errors import HostFailed
from qvdnode.net.core.expressions import Json
from qvdnode.runtime.shield import run_shielded
from qvdnode.runtime.time_limit import TimeLimit
from qvdnode.telemetry.metrics import Counter, Histogram

TRANSACTION_SECONDS = Histogram(
    "qvdnode_nft_transaction_seconds",
    "How long a change of the packet rules took",
    buckets=(0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0),
)
TIMEOUTS = Counter(
    "qvdnode_nft_timeouts", "Calls of libnftables that did not return in time and were abandoned"
)
CALL_LIMIT_S: Final = 5.0
"""A call takes milliseconds, and 0.1 s for the largest rule set. A person waits for it, too."""
RETRY_LIMIT_S: Final = 1.0
"""Limit of each call after one that was abandoned: a stop may have to release many guests."""

Answer = tuple[int, Any, str]
"""Exit code, output and error text of one call."""


class MissingRules(HostFailed):
    """A table, set or element that the change builds on is not there; nothing was changed."""


class RulesTimedOut(HostFailed):
    """The kernel did not answer in time; the change may still take effect later."""


class Nft:
    """The rule set of the network namespace in which it is first used."""

    def __init__(
        self, library: Callable[[], Any] = nftables.Nftables, *, limit_s: float = CALL_LIMIT_S
    ) -> None:
        self._library = library
        self._limit_s = limit_s
        self._context: _Context | None = None
        self._one_at_a_time = asyncio.Lock()
        self._timed_out = False
        self._called_s: float | None = None
        """When the running call began, by the loop's clock."""
        self.late_returns = 0
        """Number of abandoned calls that returned later; each may have changed the rules."""

    def refusal(self) -> str | None:
        """Return why the rules cannot be changed now; None if the last call returned.

        A call that is slow but not abandoned yet counts, too.
        """
        now_s = asyncio.get_running_loop().time()
        is_slow = self._called_s is not None and now_s - self._called_s > RETRY_LIMIT_S
        if not self._timed_out and not is_slow:
            return None
        return "The kernel's packet filter (nftables) does not answer."

    async def change(self, commands: Sequence[Json]) -> None:
        """Run commands as one transaction; raises MissingRules, RulesTimedOut, HostFailed."""
        with TRANSACTION_SECONDS.time():
            await run_shielded(self._run(list(commands)))

    async def listing(self, what: Json) -> list[Json]:
        """What `{"list": what}` answers; raises MissingRules, RulesTimedOut, HostFailed."""
        return await run_shielded(self._run([{"list": what}]))

    async def _run(self, commands: list[Json]) -> list[Json]:
        async with self._one_at_a_time:
            code, output, error = await self._answer(commands)
        if code != 0:
            raise _translated(str(error))
        found = output.get("nftables", []) if isinstance(output, dict) else []
        return [item for item in found if "metainfo" not in item]

    async def _answer(self, commands: list[Json]) -> Answer:
        context = self._context = self._context or _Context(self._library)
        limit_s = min(self._limit_s, RETRY_LIMIT_S) if self._timed_out else self._limit_s
        self._called_s = asyncio.get_running_loop().time()
        call = in_own_thread(lambda: context.run(commands), name="nftables")
        try:
            async with TimeLimit(limit_s):
                answer = await asyncio.shield(call)
        except TimeoutError as error:
            self._abandon(call)
            raise RulesTimedOut(
                f"the kernel's packet filter (nftables) did not answer within {limit_s:g} s; "
                "if this persists, look for what else changes its rules"
            ) from error
        except OSError as error:
            raise HostFailed(
                f"libnftables cannot be loaded ({error}); install the package libnftables1"
            ) from error
        finally:
            self._called_s = None
        self._timed_out = False
        return answer

    def _abandon(self, call: "asyncio.Future[Answer]") -> None:
        self._context = None
        self._timed_out = True
        TIMEOUTS.inc()
        call.add_done_callback(self._returned_late)

    def _returned_late(self, call: "asyncio.Future[Answer]") -> None:
        self.late_returns += 1
        if not call.cancelled():
            call.exception()  # nobody else asks for it


class _Context:
    """One context of the library, with a socket of its own; for one call at a time."""

    def __init__(self, library: Callable[[], Any]) -> None:
        self._make = library
        self._library: Any = None

    def run(self, commands: list[Json]) -> Answer:
        """Blocks; raises OSError when the library cannot be loaded."""
        if self._library is None:
            self._library = self._make()
            # Handles name a rule that is to be deleted.
            self._library.set_handle_output(True)
        code, output, error = self._library.json_cmd({"nftables": commands})
        return code, output, str(error)


def _translated(error: str) -> HostFailed:
    reason = error.strip().splitlines()[0] if error.strip() else "no reason given"
    reason = reason.rpartition("Error: ")[2]
    if "No such file or directory" in reason:
        return MissingRules(f"the packet rules to change are not there: {reason}")
    return HostFailed(f"the kernel refused a change of the packet rules: {reason}")
