"""/my/screen: the WebSocket of a desktop in the browser.

Browsers let any page open a WebSocket to any host, with the user's cookies. So the page must be one
of this node, its user must be logged in, and its first message must have a ticket.
"""

import contextlib
from typing import Final

from aiohttp import WSCloseCode, WSMsgType, web

from qvdnode.admin.parts import PARTS
from qvdnode.admin.visitor import user_visitor
from qvdnode.desk.core.messages import TEXT_FRAME_MAX
from qvdnode.model.errors import Forbidden, Invalid, Unavailable
from qvdnode.web.core.same_origin import is_same_origin

PATH: Final = "/my/screen"
MESSAGE_BYTES_MAX: Final = 1 << 20
"""The largest message of the page; a pasted text is the longest."""
HEARTBEAT_S: Final = 20.0
"""A page that does not answer a ping within half of it has gone: its machine sleeps, perhaps."""
LOGIN_CHECK_S: Final = 15.0
"""How often the user's login is checked, which prolongs it: a desktop that is open is in use."""
NO_SOCKET: Final = "Open this address from the page of a desktop: it is for its WebSocket only."


def add_routes(router: web.UrlDispatcher) -> None:
    """Add the WebSocket's route."""
    router.add_get(PATH, screen)


async def screen(request: web.Request) -> web.StreamResponse:
    """Show a desktop in the browser; raises Forbidden, Unauthenticated, Invalid."""
    origin = request.headers.get("Origin")
    # Also with Sec-Fetch-Site, which not every browser sends with a WebSocket.
    if origin is None or not is_same_origin(None, origin, request.headers.get("Host", "")):
        raise Forbidden("A desktop can be opened from a page of this node only.")
    principal = (await user_visitor(request)).principal
    if principal is None:
        raise AssertionError("user_visitor finds a user or raises")
    answer = web.WebSocketResponse(
        max_msg_size=MESSAGE_BYTES_MAX, compress=False, heartbeat=HEARTBEAT_S, timeout=2.0
    )
    if not answer.can_prepare(request).ok:
        raise Invalid(NO_SOCKET)
    await answer.prepare(request)
    browser = BrowserSocket(answer, request)
    with contextlib.suppress(OSError):
        await request.app[PARTS].desks.view(principal, browser, request.remote or "?")
    with contextlib.suppress(OSError):
        await answer.close(code=WSCloseCode.OK)
    return answer


class BrowserSocket:
    """Satisfies desk.ports.Browser."""

    def __init__(self, socket: web.WebSocketResponse, request: web.Request) -> None:
        """`request` opened it, with the cookie of the user's login."""
        self._socket = socket
        self._request = request

    async def tell(self, message: str) -> None:
        """As Browser."""
        await self._socket.send_str(message)

    async def send(self, data: bytes) -> None:
        """As Browser."""
        await self._socket.send_bytes(data)

    async def receive(self) -> bytes | str | None:
        """As Browser; raises Invalid for a text that is too long."""
        message = await self._socket.receive()
        match message.type:
            case WSMsgType.BINARY:
                return bytes(message.data)
            case WSMsgType.TEXT:
                if len(message.data) > TEXT_FRAME_MAX:
                    raise Invalid(f"A control message has at most {TEXT_FRAME_MAX} characters.")
                return str(message.data)
            case _:  # closed, or an error that has closed it
                return None

    async def logged_out(self) -> None:
        """As Browser; while the database is away nobody can end a login."""
        while True:
            await self._request.app[PARTS].events.clock.sleep(LOGIN_CHECK_S)
            with contextlib.suppress(Unavailable):
                await user_visitor(self._request)
