"""Hears of changes that any node of the farm makes, by LISTEN on a connection of its own.

Triggers send a notification with each change (schema/0017). It comes after the commit.
"""

import asyncio
import contextlib
import json
from typing import Final, Protocol

from qvdnode.db.pool import Database
from qvdnode.db.transaction import guarded
from qvdnode.model.change import Change
from qvdnode.model.errors import Unavailable
from qvdnode.runtime.time_limit import TimeLimit

CHANNEL: Final = "qvdnode_changes"
PING_S: Final = 5.0
"""How often the connection is tried, so that a dead one is noticed."""
PING_LIMIT_S: Final = 5.0
LOST: Final = "The connection that hears of changes was lost."


class Listener(Protocol):
    """Who gets the changes."""

    def begun(self) -> None:
        """From now on no change is missed."""
        ...

    def deliver(self, change: Change) -> None:
        """There was a change."""
        ...

    def is_wanted(self) -> bool:
        """Whether anybody still wants to know."""
        ...


class ChangeFeed:
    """The changes of the farm's tables."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def listen(self, listener: Listener) -> None:
        """Tell of each change while it is wanted.

        Raises Unavailable when there is no connection, or it is lost.
        """
        raw = await self._db.connect_apart()
        lost = asyncio.Event()

        def heard(_raw: object, _pid: int, _channel: str, payload: object) -> None:
            change = parse(str(payload))
            if change is not None:
                listener.deliver(change)

        def ended(_raw: object) -> None:
            lost.set()

        try:
            with guarded():
                raw.add_termination_listener(ended)
                await raw.add_listener(CHANNEL, heard)
                listener.begun()
                while listener.is_wanted():
                    with contextlib.suppress(TimeoutError):
                        async with TimeLimit(PING_S):
                            await lost.wait()
                    if lost.is_set():
                        raise Unavailable(LOST)
                    await raw.fetchval("SELECT 1", timeout=PING_LIMIT_S)
        finally:
            raw.terminate()


def parse(payload: str) -> Change | None:
    """Return the change in a notification; None for what no trigger of ours sends."""
    try:
        fields = json.loads(payload)
        kind, number, change, facts = (fields[name] for name in ("kind", "id", "change", "facts"))
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
    texts = isinstance(kind, str) and isinstance(change, str)
    if not texts or type(number) is not int or not isinstance(facts, dict):
        return None
    key = fields.get("key", "")
    return Change(kind, number, change, facts, key if isinstance(key, str) else "")
