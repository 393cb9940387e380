"""/sessions: who was attached to which display, from where, for how long."""

from dataclasses import asdict
from datetime import datetime
from typing import Final

from qvdnode.admin.endpoint import AnswerModel, AnyEndpoint, Asked, Endpoint
from qvdnode.admin.reading import IdFilter, Newest, NoBody, PageQuery
from qvdnode.db.sessions import SessionRecord
from qvdnode.model.ids import UserId, VmId


class SessionView(AnswerModel):
    """One client attached to one display; open while `closed_at` is null.

    Numbers stay when the thing is deleted, names become null.
    """

    id: int
    vm_id: int
    vm: str | None
    user_id: int
    user: str | None
    tenant: str | None
    node_id: int
    node: str | None
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
    newest: bool = Newest


def view(record: SessionRecord) -> SessionView:
    """The session as REST shows it."""
    return SessionView(**asdict(record))


async def list_sessions(asked: Asked[NoBody, SessionQuery]) -> SessionList:
    """One page of sessions."""
    query = asked.query
    listing = await asked.parts.records.sessions.list(
        query.page(),
        vm_id=None if query.vm_id is None else VmId(query.vm_id),
        user_id=None if query.user_id is None else UserId(query.user_id),
        open_only=query.open,
        newest=query.newest,
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
