"""aiohttp's HTTP protocol, with this node's answers to requests that aiohttp refuses itself."""

import asyncio
import logging
from http import HTTPStatus
from typing import Final

from aiohttp import web
from aiohttp.web_request import BaseRequest

from qvdnode.admin import problem
from qvdnode.admin.headers import set_headers
from qvdnode.telemetry.correlation import correlated
from qvdnode.telemetry.repeated_events import RepeatedEvents

log = logging.getLogger(__name__)

UNREADABLE: Final = "This is not a valid HTTP/1.1 request."
UNEXPECTED: Final = "Send no `Expect` header other than `Expect: 100-continue`."
LINGER_S: Final = 5.0
"""How long the rest of a refused request's body is read and discarded."""
KEEP_FOR_EVER_S: Final = 86_400.0
"""Longer than any connection's own deadline, which therefore decides."""


class HttpProtocol(web.RequestHandler):
    """Handles one connection's requests, also those that aiohttp refuses before the application."""

    __slots__ = ("_events",)

    def __init__(self, server: web.Server, events: RepeatedEvents) -> None:
        super().__init__(
            server,
            loop=asyncio.get_running_loop(),
            access_log=None,  # type: ignore[arg-type]  # as AppRunner passes it on
            keepalive_timeout=KEEP_FOR_EVER_S,
            lingering_time=LINGER_S,
            # aiohttp would decompress bodies before authentication, and also the rest of a refused
            # request: one byte sent would become up to 1,000 bytes of work for the event loop.
            auto_decompress=False,
        )
        self._events = events

    async def start(self) -> None:
        """Answer requests. aiohttp raises an error if the client disconnected before this call."""
        if self._manager is not None:
            await super().start()

    def handle_error(
        self,
        request: BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,  # noqa: ARG002 - it repeats what came, which may be a secret
    ) -> web.StreamResponse:
        """Answer bytes that are not a request, or a failure outside of the boundary."""
        if request.writer.output_size > 0:
            raise ConnectionError("an answer has begun already")
        with correlated() as correlation:
            if status == HTTPStatus.BAD_REQUEST:
                self._events.note("head_refused", request.remote or "?", type(exc).__name__)
                answer = problem.answer_error(problem.Malformed(UNREADABLE))
            else:
                log.error("admin_answer_failed", exc_info=exc)
                answer = problem.answer(problem.internal_problem())
            return _last(answer, correlation)

    async def finish_response(
        self, request: BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> tuple[web.StreamResponse, bool]:
        """Send an answer, and replace one of aiohttp's own.

        The application answers with problem documents. An exception here is aiohttp's refusal of
        an unknown `Expect` header.
        """
        if isinstance(resp, web.HTTPException):
            with correlated() as correlation:
                self._events.note("head_refused", request.remote or "?", type(resp).__name__)
                refusal = problem.ExpectationFailed(UNEXPECTED)
                resp = _last(problem.answer_error(refusal), correlation)
        return await super().finish_response(request, resp, start_time)


def _last(answer: web.Response, correlation: str) -> web.Response:
    """Set the headers of an answer that bypassed the boundary, and close the connection after."""
    set_headers(answer, correlation)
    answer.force_close()
    return answer
