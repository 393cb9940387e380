"""/my/session and /my/sessions: logins of users in browsers."""

from datetime import datetime
from typing import Annotated, Final, Literal

from pydantic import Field

from qvdnode.admin.endpoint import AnswerModel, AnyEndpoint, ApiCall, Endpoint, Permission
from qvdnode.admin.fields import Password, TenantName
from qvdnode.admin.reading import NoBody, NoQuery, PageQuery, RequestBody
from qvdnode.admin.routes.browser_logins import LoginList, login_list
from qvdnode.admin.visitor import USER_COOKIE
from qvdnode.model.browser_session import BrowserSession
from qvdnode.model.errors import NotFound, Throttled, Unauthenticated
from qvdnode.model.principal import Principal

LOGIN_MAX: Final = 256


class UserLogin(RequestBody):
    """A user's name and password, as a client sends them."""

    login: Annotated[str, Field(min_length=1, max_length=LOGIN_MAX)]
    """The tenant may follow the last @ or #; without one, and without `tenant`, it is the default
    tenant."""
    password: Password
    tenant: TenantName | None = None


class UserLoginView(AnswerModel):
    """Who is logged in."""

    kind: Literal["user"] = "user"
    id: int
    name: str
    tenant: str
    created_at: datetime
    ends_at: datetime
    idle_s: float
    """After how much time without a request the login ends."""


async def log_in_user(call: ApiCall[UserLogin, NoQuery]) -> UserLoginView:
    """Log a user in with this browser; a login that it has already ends."""
    accounts, body = call.parts.accounts, call.body
    login = body.login if body.tenant is None else f"{body.login}@{body.tenant}"
    principal = await accounts.authenticator.basic(
        login, body.password.get_secret_value(), source=call.source()
    )
    key, session = await accounts.browsers.begin(
        principal, source=call.source(), agent=call.request.headers.get("User-Agent", "")
    )
    await _end_former(call)
    call.cookies[USER_COOKIE] = key
    return _view(call, principal, session)


async def log_out_user(call: ApiCall[NoBody, NoQuery]) -> None:
    """End this browser's login; does nothing where there is none."""
    await _end_former(call)
    call.cookies[USER_COOKIE] = None


async def show_user_login(call: ApiCall[NoBody, NoQuery]) -> UserLoginView:
    """Return who is logged in."""
    if call.session is None:
        raise AssertionError("users come with a login")
    return _view(call, call.user(), call.session)


async def list_user_logins(call: ApiCall[NoBody, PageQuery]) -> LoginList:
    """Return one page of the user's own logins."""
    return await login_list(call, call.user())


async def end_user_login(call: ApiCall[NoBody, NoQuery]) -> None:
    """End one of the user's own logins; its browser is logged out at once."""
    await call.parts.accounts.browsers.end(call.user(), call.id())


async def _end_former(call: ApiCall[UserLogin, NoQuery] | ApiCall[NoBody, NoQuery]) -> None:
    await call.parts.accounts.browsers.end_key(
        call.request.cookies.get(USER_COOKIE, ""), Principal, source=call.source()
    )


def _view(
    call: ApiCall[UserLogin, NoQuery] | ApiCall[NoBody, NoQuery],
    principal: Principal,
    session: BrowserSession,
) -> UserLoginView:
    return UserLoginView(
        id=session.id,
        name=principal.login,
        tenant=principal.tenant,
        created_at=session.created_at,
        ends_at=session.ends_at,
        idle_s=call.parts.web.session_idle_s,
    )


MY_ENDPOINTS: Final[tuple[AnyEndpoint, ...]] = (
    Endpoint(
        method="POST",
        path="/session",
        handler=log_in_user,
        summary="Log in to the users' page",
        tag="my",
        body=UserLogin,
        query=NoQuery,
        answer=UserLoginView,
        errors=(Unauthenticated, Throttled),
        permission=Permission.OWN_PAGE,
    ),
    Endpoint(
        method="DELETE",
        path="/session",
        handler=log_out_user,
        summary="Log out of the users' page",
        tag="my",
        body=NoBody,
        query=NoQuery,
        status=204,
        permission=Permission.OWN_PAGE,
    ),
    Endpoint(
        method="GET",
        path="/session",
        handler=show_user_login,
        summary="Show which user is logged in",
        tag="my",
        body=NoBody,
        query=NoQuery,
        answer=UserLoginView,
        permission=Permission.USER,
    ),
    Endpoint(
        method="GET",
        path="/sessions",
        handler=list_user_logins,
        summary="List one's own logins",
        tag="my",
        body=NoBody,
        query=PageQuery,
        answer=LoginList,
        permission=Permission.USER,
    ),
    Endpoint(
        method="DELETE",
        path="/sessions/{id}",
        handler=end_user_login,
        summary="End one of one's own logins",
        tag="my",
        body=NoBody,
        query=NoQuery,
        status=204,
        errors=(NotFound,),
        permission=Permission.USER,
    ),
)
