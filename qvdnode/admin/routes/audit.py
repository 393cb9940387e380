"""/audit: who changed what and when. Entries are added and never changed."""

from datetime import datetime
from typing import Any, Final

from qvdnode.admin.endpoint import AnswerModel, AnyEndpoint, ApiCall, Endpoint
from qvdnode.admin.fields import Name, Word
from qvdnode.admin.reading import NewestQuery, NoBody, sort_field
from qvdnode.db.audit import AuditRecord


class AuditView(AnswerModel):
    """One change."""

    id: int
    at: datetime
    actor: str
    action: str
    object_kind: str
    object_id: str | None
    detail: dict[str, Any]
    correlation: str


class AuditList(AnswerModel):
    """One page of changes."""

    items: list[AuditView]
    next_after: int | str | None
    total: int
    """How many items match on all pages; 50,000 for that many or more."""


class AuditQuery(NewestQuery):
    """Filters for changes."""

    sort: str = sort_field()
    actor: Name | None = None
    object_kind: Word | None = None
    object_id: Word | None = None


async def list_audit(call: ApiCall[NoBody, AuditQuery]) -> AuditList:
    """Return one page of changes."""
    query = call.query
    listing = await call.parts.records.audit.list(
        query.page(),
        actor=query.actor,
        object_kind=query.object_kind,
        object_id=query.object_id,
    )
    return AuditList(
        items=[view(item) for item in listing.items],
        next_after=listing.next_after,
        total=listing.total,
    )


def view(record: AuditRecord) -> AuditView:
    """Return the entry's view."""
    return AuditView(
        id=record.id,
        at=record.at,
        actor=record.actor,
        action=record.action,
        object_kind=record.object_kind,
        object_id=record.object_id,
        detail=dict(record.detail),
        correlation=record.correlation,
    )


ENDPOINTS: Final[tuple[AnyEndpoint, ...]] = (
    Endpoint(
        method="GET",
        path="/audit",
        handler=list_audit,
        summary="List changes",
        tag="audit",
        body=NoBody,
        query=AuditQuery,
        answer=AuditList,
    ),
)
