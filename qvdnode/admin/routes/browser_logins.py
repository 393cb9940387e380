"""/session and /web-sessions: logins of administrators in browsers, and links that log in once.

Administrators are the owners of API tokens. A login ends with its token.
"""

from datetime import datetime
from typing import Annotated, Final, Literal

from pydantic import Field, SecretStr

from qvdnode.admin import access
from qvdnode.admin.endpoint import AnswerModel, AnyEndpoint, ApiCall, Endpoint, Permission
from qvdnode.admin.reading import NoBody, NoQuery, PageQuery, RequestBody
from qvdnode.admin.visitor import ADMIN_COOKIE, TOKEN_MAX, is_token, still_wanted
from qvdnode.auth.browser_sessions import login_url
from qvdnode.model.browser_session import BrowserSession
from qvdnode.model.errors import Invalid, NotFound, Unauthenticated
from qvdnode.model.principal import Operator, Principal
from qvdnode.model.role import Role

Secret = Annotated[SecretStr, Field(min_length=1, max_length=TOKEN_MAX)]
NO_SECRET: Final = "Send either a token or the key of a link."
WRONG: Final = "This cannot be an API token or the key of a link."


class AdminLogin(RequestBody):
    """What logs an administrator in: one of the two."""

    token: Secret | None = None
    """An API token."""
    link: Secret | None = None
    """The key of a one-time link: what follows the # in it."""


class AdminLoginView(AnswerModel):
    """Who is logged in. With a bearer token there is no login, so the other fields are null."""

    kind: Literal["admin", "token"]
    name: str
    """The name of the API token; the audit trail shows it."""
    role: Role
    tenant_id: int | None
    """The one tenant that the token is for; null for the whole farm."""
    calls: list[str]
    """What the token may call, as `METHOD /path`."""
    id: int | None
    created_at: datetime | None
    ends_at: datetime | None
    idle_s: float | None
    """After how much time without a request the login ends."""


class LoginView(AnswerModel):
    """One login in a browser."""

    id: int
    source: str
    agent: str
    """What the browser calls itself."""
    created_at: datetime
    seen_at: datetime
    """When it was last used, to a minute."""
    ends_at: datetime
    here: bool
    """Whether it is the login of this request."""


class LoginList(AnswerModel):
    """One page of logins."""

    items: list[LoginView]
    next_after: int | str | None


class LinkView(AnswerModel):
    """A link that logs an administrator in once."""

    url: str
    expires_at: datetime


def login_view(session: BrowserSession, current: BrowserSession | None) -> LoginView:
    """Return the view of a login."""
    return LoginView(
        id=session.id,
        source=session.source,
        agent=session.agent,
        created_at=session.created_at,
        seen_at=session.seen_at,
        ends_at=session.ends_at,
        here=current is not None and current.id == session.id,
    )


async def login_list(call: ApiCall[NoBody, PageQuery], owner: Operator | Principal) -> LoginList:
    """Return the page of the owner's logins that the call asks for."""
    listing = await call.parts.accounts.browser_sessions.list(owner, call.query.page())
    items = [login_view(item, call.session) for item in listing.items]
    return LoginList(items=items, next_after=listing.next_after)


async def log_in(call: ApiCall[AdminLogin, NoQuery]) -> AdminLoginView:
    """Log an administrator in with this browser; a login that it has already ends."""
    browsers = call.parts.accounts.browsers
    operator = await _operator(call)
    key, session = await browsers.begin(
        operator, source=call.source(), agent=call.request.headers.get("User-Agent", "")
    )
    await _end_former(call)
    call.operator = operator
    call.cookies[ADMIN_COOKIE] = key
    call.changed("login", session.id, by="link" if call.body.link is not None else "token")
    return _view(call, operator, session)


async def log_out(call: ApiCall[NoBody, NoQuery]) -> None:
    """End this browser's login; does nothing where there is none."""
    await _end_former(call)
    call.cookies[ADMIN_COOKIE] = None


async def show_login(call: ApiCall[NoBody, NoQuery]) -> AdminLoginView:
    """Return who the caller is."""
    return _view(call, call.administrator(), call.session)


async def list_logins(call: ApiCall[NoBody, PageQuery]) -> LoginList:
    """Return one page of the logins of the caller's API token."""
    return await login_list(call, call.administrator())


async def end_login(call: ApiCall[NoBody, NoQuery]) -> None:
    """End one of the caller's logins; its browser is logged out at once."""
    session_id = call.id()
    await call.parts.accounts.browsers.end(call.administrator(), session_id)
    call.changed("login", session_id)


async def create_link(call: ApiCall[NoBody, NoQuery]) -> LinkView:
    """Make a link that logs in once, as the owner of the caller's token."""
    key, expires_at = await call.parts.accounts.browsers.make_link(call.administrator())
    call.changed("login_link", "-", expires_at=expires_at)
    return LinkView(url=login_url(call.request.host, key), expires_at=expires_at)


async def _operator(call: ApiCall[AdminLogin, NoQuery]) -> Operator:
    body, accounts = call.body, call.parts.accounts
    if (body.token is None) == (body.link is None):
        raise Invalid(NO_SECRET, field="token")
    secret = (body.token or body.link or SecretStr("")).get_secret_value()
    if not is_token(secret):
        raise Unauthenticated(WRONG)
    source, is_wanted = call.source(), still_wanted(call.request)
    if body.link is not None:
        return await accounts.browsers.take_link(secret, source=source, is_wanted=is_wanted)
    return await accounts.operators.operator(secret, source=source, is_wanted=is_wanted)


async def _end_former(call: ApiCall[AdminLogin, NoQuery] | ApiCall[NoBody, NoQuery]) -> None:
    await call.parts.accounts.browsers.end_key(
        call.request.cookies.get(ADMIN_COOKIE, ""), Operator, source=call.source()
    )


def _view(
    call: ApiCall[AdminLogin, NoQuery] | ApiCall[NoBody, NoQuery],
    operator: Operator,
    session: BrowserSession | None,
) -> AdminLoginView:
    return AdminLoginView(
        kind="token" if session is None else "admin",
        name=operator.name,
        role=operator.role,
        tenant_id=operator.tenant_id,
        calls=access.allowed_calls(operator, call.request.config_dict[access.CALLS]),
        id=None if session is None else session.id,
        created_at=None if session is None else session.created_at,
        ends_at=None if session is None else session.ends_at,
        idle_s=None if session is None else call.parts.web.session_idle_s,
    )


PAGE_ENDPOINTS: Final[tuple[AnyEndpoint, ...]] = (
    Endpoint(
        method="POST",
        path="/session",
        handler=log_in,
        summary="Log in with a browser",
        tag="logins",
        body=AdminLogin,
        query=NoQuery,
        answer=AdminLoginView,
        errors=(Unauthenticated,),
        permission=Permission.OWN_PAGE,
        action="login.begin",
    ),
    Endpoint(
        method="DELETE",
        path="/session",
        handler=log_out,
        summary="Log out with a browser",
        tag="logins",
        body=NoBody,
        query=NoQuery,
        status=204,
        permission=Permission.OWN_PAGE,
    ),
)
"""Only the administration page uses these; programs send a token with each request."""

ENDPOINTS: Final[tuple[AnyEndpoint, ...]] = (
    Endpoint(
        method="GET",
        path="/session",
        handler=show_login,
        summary="Show who is logged in",
        tag="logins",
        body=NoBody,
        query=NoQuery,
        answer=AdminLoginView,
    ),
    Endpoint(
        method="POST",
        path="/session/links",
        handler=create_link,
        summary="Make a link that logs in once",
        tag="logins",
        body=NoBody,
        query=NoQuery,
        answer=LinkView,
        status=201,
        action="login.link",
    ),
    Endpoint(
        method="GET",
        path="/web-sessions",
        handler=list_logins,
        summary="List one's own logins in browsers",
        tag="logins",
        body=NoBody,
        query=PageQuery,
        answer=LoginList,
    ),
    Endpoint(
        method="DELETE",
        path="/web-sessions/{id}",
        handler=end_login,
        summary="End one of one's own logins",
        tag="logins",
        body=NoBody,
        query=NoQuery,
        status=204,
        errors=(NotFound,),
        action="login.end",
    ),
)
