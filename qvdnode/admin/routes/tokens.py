"""/tokens: API tokens, what administrators and their programs authenticate with."""

from datetime import datetime
from typing import Final

from qvdnode.admin.endpoint import AnswerModel, AnyEndpoint, Asked, Endpoint
from qvdnode.admin.fields import Name
from qvdnode.admin.reading import NoBody, NoQuery, PageQuery, RequestBody
from qvdnode.db.api_tokens import ApiToken
from qvdnode.model.errors import Conflict


class TokenDraft(RequestBody):
    """A token to be."""

    name: Name
    """Who or what will use it; it stands in the audit trail."""


class TokenView(AnswerModel):
    """A token without its secret, of which the farm keeps a digest only."""

    id: int
    name: str
    created_at: datetime


class TokenList(AnswerModel):
    """One page of tokens."""

    items: list[TokenView]
    next_after: int | None


class IssuedToken(AnswerModel):
    """A new token with its secret, shown this once."""

    id: int
    name: str
    token: str


def view(token: ApiToken) -> TokenView:
    """The token as REST shows it."""
    return TokenView(id=token.id, name=token.name, created_at=token.created_at)


async def list_tokens(asked: Asked[NoBody, PageQuery]) -> TokenList:
    """One page of tokens."""
    listing = await asked.parts.accounts.api_tokens.list(asked.query.page())
    return TokenList(items=[view(item) for item in listing.items], next_after=listing.next_after)


async def create_token(asked: Asked[TokenDraft, NoQuery]) -> IssuedToken:
    """Make a token; raises Conflict when the name is taken."""
    name = asked.body.name
    token_id, token = await asked.parts.accounts.operators.issue(name)
    asked.changed("token", token_id, name=name)
    return IssuedToken(id=token_id, name=name, token=token)


async def revoke_token(asked: Asked[NoBody, NoQuery]) -> None:
    """Revoke a token; it stops working at once, also for the one who asks."""
    token_id = asked.id()
    await asked.parts.accounts.operators.revoke(token_id)
    asked.changed("token", token_id)


ENDPOINTS: Final[tuple[AnyEndpoint, ...]] = (
    Endpoint(
        method="GET",
        path="/tokens",
        handler=list_tokens,
        summary="List API tokens",
        tag="tokens",
        body=NoBody,
        query=PageQuery,
        answer=TokenList,
    ),
    Endpoint(
        method="POST",
        path="/tokens",
        handler=create_token,
        summary="Make an API token",
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
