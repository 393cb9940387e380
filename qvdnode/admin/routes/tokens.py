"""/tokens: the API tokens with which administrators and their programs authenticate."""

from datetime import datetime
from typing import Final

from qvdnode.admin.endpoint import AnswerModel, AnyEndpoint, ApiCall, Endpoint
from qvdnode.admin.fields import Name
from qvdnode.admin.reading import ListQuery, NoBody, NoQuery, RequestBody, sort_field
from qvdnode.db.api_tokens import ApiToken
from qvdnode.model.errors import Conflict


class TokenDraft(RequestBody):
    """The body that creates a token."""

    name: Name
    """The person or program that will use it; the audit trail shows this name."""


class TokenView(AnswerModel):
    """A token without its secret; the database has only a digest of the secret."""

    id: int
    name: str
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
    return TokenView(id=token.id, name=token.name, created_at=token.created_at)


async def list_tokens(call: ApiCall[NoBody, TokenQuery]) -> TokenList:
    """Return one page of tokens."""
    listing = await call.parts.accounts.api_tokens.list(call.query.page())
    return TokenList(
        items=[view(item) for item in listing.items],
        next_after=listing.next_after,
        total=listing.total,
    )


async def create_token(call: ApiCall[TokenDraft, NoQuery]) -> IssuedToken:
    """Create a token; raises Conflict when the name is taken."""
    name = call.body.name
    token_id, token = await call.parts.accounts.operators.issue(name)
    call.changed("token", token_id, name=name)
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
        errors=(Conflict,),
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
