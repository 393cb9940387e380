"""/my/assistance and /assistance: the two WebSockets of a helper at a user's desktop.

The user's page opens the first one once the user has agreed, and sends pictures; the helper's page
opens the second one, and sends keys and the pointer if it may. desk/assistance.py joins them.
"""

import contextlib
from collections.abc import Awaitable, Callable
from typing import Final

from aiohttp import WSCloseCode, web

from qvdnode.admin import access
from qvdnode.admin.my_screen import LOGIN_CHECK_S, BrowserSocket
from qvdnode.admin.parts import PARTS
from qvdnode.admin.visitor import NO_LOGIN, operator_visitor, user_visitor
from qvdnode.model.errors import FarmError, Forbidden, Invalid, Unauthenticated, Unavailable
from qvdnode.web.core.same_origin import is_same_origin

USER_PATH: Final = "/my/assistance"
HELPER_PATH: Final = "/assistance"
PICTURE_BYTES_MAX: Final = 2 << 20
HEARTBEAT_S: Final = 20.0
ASK: Final = "ask_to_assist"
"""The handler whose right the helper's WebSocket needs, too."""

Serve = Callable[[BrowserSocket], Awaitable[None]]


def add_routes(router: web.UrlDispatcher) -> None:
    """Add the WebSockets' routes."""
    router.add_get(USER_PATH, share)
    router.add_get(HELPER_PATH, help_user)


async def share(request: web.Request) -> web.StreamResponse:
    """Take the pictures of a user who has agreed; raises Forbidden, Unauthenticated, Invalid."""
    _require_own_origin(request)
    principal = (await user_visitor(request)).principal
    if principal is None:
        raise AssertionError("user_visitor finds a user or raises")
    desks, key = request.app[PARTS].desks, request.query.get("key", "")
    return await _served(
        request, BrowserSocket, lambda page: desks.assistance.share(key, principal, page)
    )


async def help_user(request: web.Request) -> web.StreamResponse:
    """Show a desktop to a helper; raises Forbidden, Unauthenticated, Invalid."""
    _require_own_origin(request)
    operator = (await operator_visitor(request)).operator
    if operator is None:
        raise AssertionError("operator_visitor finds an operator or raises")
    access.require_role(operator, ASK)
    desks, key = request.app[PARTS].desks, request.query.get("key", "")
    return await _served(
        request,
        HelperSocket,
        lambda page: desks.assistance.help(key, operator.token_id, page),
    )


class HelperSocket(BrowserSocket):
    """Satisfies desk.ports.Page, for an administrator."""

    async def logged_out(self) -> None:
        """As Page; while the database is away nobody can end a login."""
        while True:
            await self._request.app[PARTS].events.clock.sleep(LOGIN_CHECK_S)
            with contextlib.suppress(Unavailable):
                operator = (await operator_visitor(self._request)).operator
                if operator is None:
                    raise Unauthenticated(NO_LOGIN)
                access.require_role(operator, ASK)


def _require_own_origin(request: web.Request) -> None:
    origin = request.headers.get("Origin")
    if origin is None or not is_same_origin(None, origin, request.headers.get("Host", "")):
        raise Forbidden("This can be opened from a page of this node only.")


async def _served(
    request: web.Request, end: type[BrowserSocket], serve: Serve
) -> web.StreamResponse:
    answer = web.WebSocketResponse(
        max_msg_size=PICTURE_BYTES_MAX, compress=False, heartbeat=HEARTBEAT_S, timeout=2.0
    )
    if not answer.can_prepare(request).ok:
        raise Invalid("This address is for the WebSocket of a page only.")
    await answer.prepare(request)
    with contextlib.suppress(OSError, FarmError):
        await serve(end(answer, request))
    with contextlib.suppress(OSError):
        await answer.close(code=WSCloseCode.OK)
    return answer
