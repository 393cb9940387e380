"""aiohttp's HTTP protocol, with this node's answers to what it cannot read."""

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

UNREADABLE: Final = "This is no HTTP/1.1 request that the node can read."
UNEXPECTED: Final = "The node meets no expectation but `Expect: 100-continue`."
LINGER_S: Final = 5.0
"""How long the rest of a body is thrown away that came with a refused request."""
KEEP_FOR_EVER_S: Final = 86_400.0
"""The connection's own deadline comes first."""


class HttpProtocol(web.RequestHandler):
    """One connection's requests. aiohttp itself answers before any application sees the request."""

    __slots__ = ("_events",)

    def __init__(self, server: web.Server, events: RepeatedEvents) -> None:
        super().__init__(
            server,
            loop=asyncio.get_running_loop(),
            access_log=None,  # type: ignore[arg-type]  # as AppRunner passes it on
            keepalive_timeout=KEEP_FOR_EVER_S,
            lingering_time=LINGER_S,
            # aiohttp would unpack bodies before anybody knows whose they are, and what a refused
            # request still sends, too: 1 byte of a stranger's would be 1,000 for the loop.
            auto_decompress=False,
        )
        self._events = events

    async def start(self) -> None:
        """Answer requests; aiohttp takes a caller that left before this began for a bug."""
        if self._manager is not None:
            await super().start()

    def handle_error(
        self,
        request: BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,  # noqa: ARG002 - it repeats what came, which may be a secret
    ) -> web.StreamResponse:
        """The answer to what is no request, or to a failure outside of the boundary."""
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
        """Send an answer; one of aiohttp's own is replaced.

        The application answers with problems. What comes as an exception was refused before it:
        an `Expect` that aiohttp does not know.
        """
        if isinstance(resp, web.HTTPException):
            with correlated() as correlation:
                self._events.note("head_refused", request.remote or "?", type(resp).__name__)
                refusal = problem.ExpectationFailed(UNEXPECTED)
                resp = _last(problem.answer_error(refusal), correlation)
        return await super().finish_response(request, resp, start_time)


def _last(answer: web.Response, correlation: str) -> web.Response:
    """An answer that the boundary did not see, and after which the connection ends."""
    set_headers(answer, correlation)
    answer.force_close()
    return answer
