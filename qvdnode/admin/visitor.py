"""Who sent a request: the owner of an API token, or somebody who is logged in with a browser.

A browser adds its cookie to every request to this node, also to one that another site causes. So
what is sent with a cookie and changes something must come from a page of this node. A bearer token
is never added by a browser, so it needs no such check.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, TypeVar

from aiohttp import web

from qvdnode.admin.connection import admit
from qvdnode.admin.parts import PARTS
from qvdnode.model.browser_session import BrowserSession
from qvdnode.model.errors import Forbidden, Unauthenticated
from qvdnode.model.principal import Operator, Principal
from qvdnode.web.core.same_origin import is_same_origin

TOKEN_MAX: Final = 256
ADMIN_COOKIE: Final = "__Host-qvd"
"""The prefix makes browsers refuse it without Secure, with a Domain, or with another Path."""
USER_COOKIE: Final = "__Host-qvd-my"
BACKGROUND: Final = "X-Background"
"""A header of requests that a page sends by itself: they do not prolong the login."""
READING: Final = frozenset({"GET", "HEAD"})
NO_TOKEN: Final = (
    "Send an API token in the header `Authorization: Bearer TOKEN`, or log in with a browser."
)
NO_LOGIN: Final = "Log in first."
OTHER_SITE: Final = (
    "This request does not come from a page of this node. Programs send an API token instead of a"
    " cookie."
)

Owner = TypeVar("Owner", Operator, Principal)


@dataclass(frozen=True, slots=True)
class Visitor:
    """The caller of an endpoint; all None for anybody."""

    operator: Operator | None = None
    principal: Principal | None = None
    session: BrowserSession | None = None


async def operator_visitor(request: web.Request, *, is_use: bool = True) -> Visitor:
    """Return the administrator. With `is_use` the request prolongs a login in a browser.

    Raises Unauthenticated, Forbidden, Unavailable.
    """
    if "Authorization" in request.headers or ADMIN_COOKIE not in request.cookies:
        operator = await request.app[PARTS].accounts.operators.operator(
            bearer_token(request), source=request.remote or "", is_wanted=still_wanted(request)
        )
        admit(request)
        return Visitor(operator=operator)
    operator, session = await _logged_in(request, ADMIN_COOKIE, Operator, is_use=is_use)
    return Visitor(operator=operator, session=session)


async def user_visitor(request: web.Request, *, is_use: bool = True) -> Visitor:
    """Return the user; arguments and errors are those of `operator_visitor`."""
    principal, session = await _logged_in(request, USER_COOKIE, Principal, is_use=is_use)
    return Visitor(principal=principal, session=session)


async def user_of(request: web.Request) -> Principal | None:
    """Return the user who is logged in with this browser, or None.

    For handlers outside of the endpoint table, such as WebSockets, which check the origin with
    `require_own_page`. Raises Unavailable.
    """
    try:
        return (await user_visitor(request)).principal
    except Unauthenticated:
        return None


def require_own_page(request: web.Request) -> None:
    """Check that a page of this node sent the request; raises Forbidden."""
    headers = request.headers
    site, origin = headers.get("Sec-Fetch-Site"), headers.get("Origin")
    if not is_same_origin(site, origin, headers.get("Host", "")):
        raise Forbidden(OTHER_SITE)


def set_cookies(answer: web.StreamResponse, cookies: Mapping[str, str | None]) -> None:
    """Add cookies to an answer, which pages cannot read; None removes one."""
    for name, value in cookies.items():
        gone = value is None
        answer.set_cookie(
            name,
            value or "",
            max_age=0 if gone else None,
            secure=True,
            httponly=True,
            samesite="Strict",
            path="/",
        )


def bearer_token(request: web.Request) -> str:
    """Return the token of the Authorization header; raises Unauthenticated without one."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    token = token.strip()
    if scheme.lower() != "bearer" or not is_token(token):
        raise Unauthenticated(NO_TOKEN)
    return token


def is_token(text: str) -> bool:
    """Whether the text can be a token, so that it is worth looking up."""
    return 0 < len(text) <= TOKEN_MAX and text.isascii()


def still_wanted(request: web.Request) -> Callable[[], bool]:
    """Return a function that tells whether the client is still connected."""
    return lambda: request.transport is not None


async def _logged_in(
    request: web.Request, cookie: str, owner: type[Owner], *, is_use: bool
) -> tuple[Owner, BrowserSession]:
    key = request.cookies.get(cookie, "")
    if not is_token(key):
        raise Unauthenticated(NO_LOGIN)
    if request.method not in READING:
        require_own_page(request)
    found, session = await request.app[PARTS].accounts.browsers.find(
        key,
        owner,
        source=request.remote or "",
        is_used=is_use and BACKGROUND not in request.headers,
        is_wanted=still_wanted(request),
    )
    admit(request)
    return found, session
