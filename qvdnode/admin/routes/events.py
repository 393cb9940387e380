"""/events: a stream of the farm's changes, for pages and programs that show what is there now."""

import contextlib
import json
from collections.abc import AsyncIterator
from typing import Final

from aiohttp import web
from pydantic import Field

from qvdnode.admin.endpoint import EVENT_STREAM, AnyEndpoint, ApiCall, Endpoint
from qvdnode.admin.reading import NoBody, Query
from qvdnode.admin.visitor import operator_visitor
from qvdnode.model.change import KINDS, Change
from qvdnode.model.errors import Forbidden, Invalid, Unauthenticated, Unavailable
from qvdnode.web.event_hub import ReaderQueue
from qvdnode.wire.server_sent_events import PING, SentEvent, encode

PING_S: Final = 15.0
"""How often a stream without events shows that it lives, and its login is looked at."""
LOGIN_ENDED: Final = "This login has ended; log in again."
ENDS: Final = frozenset({"login", "token"})
"""Kinds of changes that may end a login."""
LAST_ID_MAX: Final = 64


class EventQuery(Query):
    """Which changes."""

    kinds: str | None = Field(
        default=None, description=f"Some of {', '.join(KINDS)}, with commas between them."
    )

    def wanted(self) -> frozenset[str]:
        """Return the kinds of changes to tell of; raises Invalid for one that there is not."""
        wanted = frozenset(KINDS if self.kinds is None else self.kinds.split(","))
        if not wanted <= set(KINDS):
            known = ", ".join(KINDS)
            text = f"kinds must be some of {known}, with commas between them."
            raise Invalid(text, field="query.kinds")
        return wanted


async def events(call: ApiCall[NoBody, EventQuery]) -> web.StreamResponse:
    """Tell of changes until the client leaves, its login ends or the node stops."""
    request, hub, wanted = call.request, call.parts.events, call.query.wanted()
    last_id = request.headers.get("Last-Event-ID")
    if last_id is not None:
        last_id = last_id[:LAST_ID_MAX]
    answer = web.StreamResponse(headers={"Content-Type": EVENT_STREAM, "X-Accel-Buffering": "no"})
    async with hub.reading(last_id) as queue:
        await answer.prepare(request)
        # The client has left: there is nobody to tell.
        with contextlib.suppress(ConnectionError):
            await answer.write(
                _plain("hello", {"node": call.parts.facts().name}, hub.log.last_id())
            )
            async for piece in _pieces(call, queue, wanted):
                await answer.write(piece)
            await answer.write_eof()
    return answer


async def _pieces(
    call: ApiCall[NoBody, EventQuery], queue: ReaderQueue, wanted: frozenset[str]
) -> AsyncIterator[bytes]:
    clock = call.parts.events.clock
    look_at_s = clock.monotonic_s() + PING_S
    while True:
        await queue.wait(max(0.0, look_at_s - clock.monotonic_s()))
        lost, changes = queue.take()
        if lost is not None:
            yield _plain("resync", {"because": lost})
        for numbered in changes:
            if _ends(call, numbered.change):
                yield _plain("end", {"because": LOGIN_ENDED})
                return
            if numbered.change.kind in wanted:
                yield encode(SentEvent(numbered.change.kind, _data(numbered.change), numbered.id))
        if queue.ended is not None:
            yield _plain("end", {"because": queue.ended})
            return
        if clock.monotonic_s() >= look_at_s:
            look_at_s = clock.monotonic_s() + PING_S
            if not await _is_logged_in(call.request):
                yield _plain("end", {"because": LOGIN_ENDED})
                return
            yield PING


async def _is_logged_in(request: web.Request) -> bool:
    """Whether the login is still valid; while the database is away nobody can end it."""
    try:
        await operator_visitor(request, is_use=False)
    except (Unauthenticated, Forbidden):
        return False
    except Unavailable:
        return True
    return True


def _ends(call: ApiCall[NoBody, EventQuery], change: Change) -> bool:
    if change.kind not in ENDS or change.change != "delete":
        return False
    if change.kind == "login":
        return call.session is not None and call.session.id == change.id
    return call.administrator().token_id == change.id


def _data(change: Change) -> str:
    fields = {**change.facts, "kind": change.kind, "id": change.id, "change": change.change}
    return json.dumps(fields, separators=(",", ":"))


def _plain(name: str, data: dict[str, str], event_id: str = "") -> bytes:
    return encode(SentEvent(name, json.dumps(data), event_id))


ENDPOINTS: Final[tuple[AnyEndpoint, ...]] = (
    Endpoint(
        method="GET",
        path="/events",
        handler=events,
        summary="Tell of changes as they happen",
        tag="events",
        body=NoBody,
        query=EventQuery,
        answer_media=EVENT_STREAM,
        is_use=False,
    ),
)
