"""Makes an aiohttp handler from a row of the endpoint table.

It authenticates, reads the body and the query, calls the endpoint and builds the answer.
"""

from typing import Any, Final

from aiohttp import web
from aiohttp.typedefs import Handler
from pydantic import BaseModel

from qvdnode.admin import access
from qvdnode.admin.endpoint import JSON, AnyEndpoint, ApiCall, Permission
from qvdnode.admin.parts import PARTS
from qvdnode.admin.problem import BodyTooSlow, UnsupportedMedia
from qvdnode.admin.reading import NoBody, read_body, read_query
from qvdnode.admin.visitor import (
    Visitor,
    operator_visitor,
    require_own_page,
    set_cookies,
    user_visitor,
)
from qvdnode.auth.core.login_source import account_name
from qvdnode.db.audit import AuditEntry
from qvdnode.model.errors import Invalid
from qvdnode.runtime.time_limit import TimeLimit
from qvdnode.telemetry.correlation import correlation_id

BODY_MAX_BYTES: Final = 64 * 1024
"""Enough for every JSON body; streamed bodies are not held in memory."""
BODY_LIMIT_S: Final = 30.0
LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "::ffff:127.0.0.1"})
NOBODY: Final = "-"


def handler_of(endpoint: AnyEndpoint) -> Handler:
    """Return the aiohttp handler of one endpoint."""

    async def handle(request: web.Request) -> web.StreamResponse:
        parts = request.app[PARTS]
        visitor = await _admit(request, endpoint.permission, is_use=endpoint.is_use)
        if visitor.operator is not None:
            access.require_role(visitor.operator, endpoint.handler.__name__)
        query = read_query(endpoint.query, request.query.items())
        body = await _body(request, endpoint)
        call: ApiCall[BaseModel, BaseModel] = ApiCall(
            parts,
            request,
            visitor.operator,
            body,
            query,
            endpoint.status,
            principal=visitor.principal,
            session=visitor.session,
        )
        if visitor.operator is not None:
            await access.require_reach(call, endpoint.handler.__name__)
        try:
            said = await endpoint.handler(call)
        finally:
            await parts.records.trail.write(_entries(call, endpoint.action))
        answer = _answer(said, call.status)
        set_cookies(answer, call.cookies)
        return answer

    return handle


def _entries(call: ApiCall[Any, Any], action: str | None) -> list[AuditEntry]:
    return [
        AuditEntry(
            actor=_actor(call),
            action=action or "",
            object_kind=change.kind,
            object_id=change.id,
            detail=dict(change.detail),
            correlation=correlation_id.get(),
        )
        for change in call.changes
    ]


def _actor(call: ApiCall[Any, Any]) -> str:
    if call.operator is not None:
        return call.operator.name
    if call.principal is not None:
        return account_name(call.principal.login, call.principal.tenant)
    return NOBODY


async def _admit(request: web.Request, permission: Permission, *, is_use: bool) -> Visitor:
    match permission:
        case Permission.ANYBODY:
            return Visitor()
        case Permission.OPERATOR_OR_LOOPBACK if request.remote in LOOPBACK:
            return Visitor()
        case Permission.OPERATOR | Permission.OPERATOR_OR_LOOPBACK:
            return await operator_visitor(request, is_use=is_use)
        case Permission.USER:
            return await user_visitor(request, is_use=is_use)
        case Permission.OWN_PAGE:
            require_own_page(request)
            return Visitor()


async def _body(request: web.Request, endpoint: AnyEndpoint) -> BaseModel:
    if not endpoint.takes_json:
        _check_media(request, endpoint)
        return NoBody()
    if endpoint.body is NoBody:
        if request.can_read_body:
            raise Invalid("This request has no body.", field="body")
        return NoBody()
    _check_media(request, endpoint)
    try:
        async with TimeLimit(BODY_LIMIT_S):
            body: BaseModel = read_body(endpoint.body, await request.read())
    except TimeoutError as error:
        raise BodyTooSlow(f"The body did not arrive within {BODY_LIMIT_S:g} s.") from error
    return body


def _check_media(request: web.Request, endpoint: AnyEndpoint) -> None:
    if request.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise UnsupportedMedia("Send the body uncompressed, without `Content-Encoding`.")
    if request.content_type not in endpoint.body_media:
        raise UnsupportedMedia(f"Send the body with `Content-Type: {endpoint.body_media[0]}`.")


def _answer(said: BaseModel | web.StreamResponse | None, status: int) -> web.StreamResponse:
    match said:
        case None:
            return web.Response(status=status)
        case web.StreamResponse():
            return said
        case BaseModel():
            return web.Response(
                status=status, body=said.model_dump_json().encode(), content_type=JSON
            )
