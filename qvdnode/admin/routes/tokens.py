"""/tokens: the API tokens with which administrators and their programs authenticate."""

from dataclasses import asdict
from datetime import datetime
from typing import Final

from pydantic import Field

from qvdnode.admin.endpoint import AnswerModel, AnyEndpoint, ApiCall, Endpoint
from qvdnode.admin.fields import Id, Name
from qvdnode.admin.reading import ListQuery, NoBody, NoQuery, RequestBody, sort_field
from qvdnode.db.api_tokens import ApiToken
from qvdnode.model.errors import Conflict, NotFound
from qvdnode.model.ids import TenantId
from qvdnode.model.role import Role


class TokenDraft(RequestBody):
    """The body that creates a token."""

    name: Name
    """The person or program that will use it; the audit trail shows this name."""
    role: Role = Field(
        default=Role.ADMIN,
        description="viewer: sees; helpdesk: starts and stops desktops as well; admin: everything.",
    )
    tenant_id: Id | None = Field(
        default=None, description="The one tenant that it is for; null for the whole farm."
    )


class TokenView(AnswerModel):
    """A token without its secret; the database has only a digest of the secret."""

    id: int
    name: str
    role: Role
    tenant_id: int | None
    """The one tenant that it is for; null for the whole farm."""
    tenant: str | None
    created_at: datetime


class TokenList(AnswerModel):
    """One page of tokens."""

    items: list[TokenView]
    next_after: int | str | None
    total: int
    """How many items match on all pages; 50,000 for that many or more."""


class TokenQuery(ListQuery):
    """How tokens are listed."""

    sort: str = sort_field("name", "created_at")


class IssuedToken(AnswerModel):
    """A new token with its secret, which is shown only this once."""

    id: int
    name: str
    token: str


def view(token: ApiToken) -> TokenView:
    """Return the view of a token."""
    return TokenView(**asdict(token))


async def list_tokens(call: ApiCall[NoBody, TokenQuery]) -> TokenList:
    """Return one page of tokens."""
    listing = await call.parts.accounts.api_tokens.list(call.query.page())
    return TokenList(
        items=[view(item) for item in listing.items],
        next_after=listing.next_after,
        total=listing.total,
    )


async def create_token(call: ApiCall[TokenDraft, NoQuery]) -> IssuedToken:
    """Create a token; raises Conflict when the name is taken, NotFound for the tenant."""
    name, role, bound = call.body.name, call.body.role, call.body.tenant_id
    tenant_id = None if bound is None else TenantId(bound)
    token_id, token = await call.parts.accounts.operators.issue(name, role, tenant_id)
    call.changed("token", token_id, name=name, role=role, tenant_id=tenant_id)
    return IssuedToken(id=token_id, name=name, token=token)


async def revoke_token(call: ApiCall[NoBody, NoQuery]) -> None:
    """Revoke a token. It stops working at once, even if this request used it."""
    token_id = call.id()
    await call.parts.accounts.operators.revoke(token_id)
    call.changed("token", token_id)


ENDPOINTS: Final[tuple[AnyEndpoint, ...]] = (
    Endpoint(
        method="GET",
        path="/tokens",
        handler=list_tokens,
        summary="List API tokens",
        tag="tokens",
        body=NoBody,
        query=TokenQuery,
        answer=TokenList,
    ),
    Endpoint(
        method="POST",
        path="/tokens",
        handler=create_token,
        summary="Create an API token",
        tag="tokens",
        body=TokenDraft,
        query=NoQuery,
        answer=IssuedToken,
        status=201,
        errors=(Conflict, NotFound),
        action="token.create",
    ),
    Endpoint(
        method="DELETE",
        path="/tokens/{id}",
        handler=revoke_token,
        summary="Revoke an API token",
        tag="tokens",
        body=NoBody,
        query=NoQuery,
        status=204,
        action="token.revoke",
    ),
)
