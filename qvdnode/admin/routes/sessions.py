"""/sessions: which user was attached to which VM, from where and for how long."""

from dataclasses import asdict
from datetime import datetime
from typing import Final

from qvdnode.admin.endpoint import AnswerModel, AnyEndpoint, ApiCall, Endpoint
from qvdnode.admin.reading import IdFilter, NewestQuery, NoBody, sort_field
from qvdnode.db.sessions import SessionRecord
from qvdnode.model.ids import TenantId, UserId, VmId


class SessionView(AnswerModel):
    """The attachment of one client to one display; `closed_at` is null while it is open.

    When a user, VM or node is deleted, its id stays here and its name becomes null.
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
    next_after: int | str | None
    total: int
    """How many items match on all pages; 50,000 for that many or more."""


class SessionQuery(NewestQuery):
    """Filters for sessions."""

    sort: str = sort_field("opened_at")
    vm_id: int | None = IdFilter
    user_id: int | None = IdFilter
    tenant_id: int | None = IdFilter
    open: bool = False


def view(record: SessionRecord) -> SessionView:
    """Return the view of a session."""
    return SessionView(**asdict(record))


async def list_sessions(call: ApiCall[NoBody, SessionQuery]) -> SessionList:
    """Return one page of sessions."""
    query = call.query
    listing = await call.parts.records.sessions.list(
        query.page(),
        vm_id=None if query.vm_id is None else VmId(query.vm_id),
        user_id=None if query.user_id is None else UserId(query.user_id),
        tenant_id=None if query.tenant_id is None else TenantId(query.tenant_id),
        open_only=query.open,
    )
    return SessionList(
        items=[view(item) for item in listing.items],
        next_after=listing.next_after,
        total=listing.total,
    )


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
