"""/sessions: who was attached to which display, from where, for how long."""

from datetime import datetime
from typing import Final

from qvdnode.admin.endpoint import AnswerModel, AnyEndpoint, Asked, Endpoint
from qvdnode.admin.reading import IdFilter, NoBody, PageQuery
from qvdnode.db.sessions import SessionRecord
from qvdnode.model.ids import UserId, VmId


class SessionView(AnswerModel):
    """One client attached to one display; open while `closed_at` is null."""

    id: int
    vm_id: int
    user_id: int
    node_id: int
    source: str
    client: str | None
    opened_at: datetime
    closed_at: datetime | None
    reason: str | None
    bytes_in: int
    bytes_out: int


class SessionList(AnswerModel):
    """One page of sessions."""

    items: list[SessionView]
    next_after: int | None


class SessionQuery(PageQuery):
    """Which sessions."""

    vm_id: int | None = IdFilter
    user_id: int | None = IdFilter
    open: bool = False


def view(record: SessionRecord) -> SessionView:
    """The session as REST shows it."""
    return SessionView(
        id=record.id,
        vm_id=record.vm_id,
        user_id=record.user_id,
        node_id=record.node_id,
        source=record.source,
        client=record.client,
        opened_at=record.opened_at,
        closed_at=record.closed_at,
        reason=record.reason,
        bytes_in=record.bytes_in,
        bytes_out=record.bytes_out,
    )


async def list_sessions(asked: Asked[NoBody, SessionQuery]) -> SessionList:
    """One page of sessions, oldest first."""
    query = asked.query
    listing = await asked.parts.records.sessions.list(
        query.page(),
        vm_id=None if query.vm_id is None else VmId(query.vm_id),
        user_id=None if query.user_id is None else UserId(query.user_id),
        open_only=query.open,
    )
    return SessionList(items=[view(item) for item in listing.items], next_after=listing.next_after)


ENDPOINTS: Final[tuple[AnyEndpoint, ...]] = (
    Endpoint(
        method="GET",
        path="/sessions",
        handler=list_sessions,
        summary="List sessions",
        tag="sessions",
        body=NoBody,
        query=SessionQuery,
        answer=SessionList,
    ),
)
