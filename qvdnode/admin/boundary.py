"""The request boundary: every request gets one well-formed answer and one log line.

From the outside in: correlation id, measurement, the only catch-all. dispatch.py has the steps of a
matched endpoint.
"""

import logging
import re
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from qvdnode.admin import problem
from qvdnode.admin.connection import ADMITTED, connection_of
from qvdnode.admin.headers import CORRELATION_HEADER, set_headers
from qvdnode.admin.parts import PARTS
from qvdnode.model.errors import BadConfig, FarmError, NotFound
from qvdnode.runtime.clock import Clock
from qvdnode.telemetry.correlation import correlated
from qvdnode.telemetry.metrics import Counter, Histogram

log = logging.getLogger(__name__)

REQUESTS = Counter(
    "qvdnode_admin_requests", "Requests at the admin port", ["method", "path", "status"]
)
SECONDS = Histogram(
    "qvdnode_admin_request_seconds", "Seconds from request to answer", ["method", "path"]
)

CORRELATION: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")
"""Correlation ids that are accepted from a client: they go into logs and the audit trail."""
QUIET: Final = frozenset({"/healthz", "/readyz", "/metrics"})
"""Paths that monitors read every few seconds; only their failures are logged."""
BEGUN: Final = web.RequestKey("begun", web.StreamResponse)
"""The answer of a request, once its head is about to be sent."""
CORRELATION_OF_REQUEST: Final = web.RequestKey("correlation", str)
UNMATCHED: Final = "unmatched"
CLIENT_CLOSED: Final = 499
"""Status in the log for a client that closed the connection before its answer."""


def boundary(clock: Clock) -> Middleware:
    """The outermost middleware of the application."""

    @web.middleware
    async def handle(request: web.Request, handler: Handler) -> web.StreamResponse:
        with correlated(given_correlation(request)) as correlation:
            request[CORRELATION_OF_REQUEST] = correlation
            started = clock.monotonic_s()
            status = CLIENT_CLOSED
            connection = connection_of(request)
            if connection is not None:
                connection.request_begun()
            try:
                response = await _answered(request, handler)
                status = response.status
            finally:
                if connection is not None:
                    connection.request_ended()
                _measure(request, status, clock.monotonic_s() - started)
            return response

    return handle


def given_correlation(request: web.Request) -> str | None:
    """Return the client's correlation id if it is safe to log, else None."""
    given = request.headers.get(CORRELATION_HEADER, "")
    return given if CORRELATION.fullmatch(given) else None


async def _answered(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except FarmError as error:
        if isinstance(error, BadConfig):
            log.warning("admin_request_misconfigured", extra={"because": str(error)})
        begun = request.get(BEGUN)
        return problem.answer_error(error) if begun is None else _aborted(request, begun)
    except web.HTTPException as error:
        return _refused_by_router(error)
    except ConnectionResetError:
        raise  # the client has disconnected: there is nobody to answer
    except Exception:
        log.exception("admin_request_failed", extra={"path": request.path[:200]})
        begun = request.get(BEGUN)
        if begun is None:
            return problem.answer(problem.internal_problem())
        return _aborted(request, begun)


def _aborted(request: web.Request, begun: web.StreamResponse) -> web.StreamResponse:
    """Close the connection, so that the client sees that its begun answer is incomplete."""
    if request.transport is not None:
        request.transport.abort()
    return begun


def _refused_by_router(error: web.HTTPException) -> web.StreamResponse:
    match error:
        case web.HTTPMethodNotAllowed():
            allowed = ", ".join(sorted(error.allowed_methods))
            refusal = problem.MethodNotAllowed(f"This path takes {allowed}.")
            return problem.answer(problem.problem_of(refusal), {"Allow": allowed})
        case web.HTTPRequestEntityTooLarge():
            return problem.answer_error(problem.BodyTooLarge("Send a smaller body."))
        case web.HTTPNotFound():
            return problem.answer_error(
                NotFound("There is nothing at this path; /api/v1/openapi.json lists all paths.")
            )
        case _:
            refusal_text = error.text or "The request cannot be read."
            return problem.answer_error(problem.Malformed(refusal_text))


def _measure(request: web.Request, status: int, seconds: float) -> None:
    resource = request.match_info.route.resource
    path = UNMATCHED if resource is None else resource.canonical
    method = UNMATCHED if resource is None else request.method
    REQUESTS.labels(method, path, str(status)).inc()
    SECONDS.labels(method, path).observe(seconds)
    if path in QUIET and status < 400:
        return
    if ADMITTED not in request:
        # Anybody can cause this without a token, any number of times: logged as a count.
        event = "admin_request_refused" if status >= 400 else "admin_request_anonymous"
        because = f"{status} for {request.method[:16]} {request.path[:100]}"
        request.app[PARTS].port_events.note(event, request.remote or "?", because)
        return
    log.info(
        "admin_request",
        extra={
            "method": request.method[:16],
            "path": request.path[:200],
            "status": status,
            "seconds": round(seconds, 4),
            "source": request.remote,
        },
    )


async def stamp(request: web.Request, response: web.StreamResponse) -> None:
    """Set the headers of every answer, also streamed ones; aiohttp calls it before the head."""
    request[BEGUN] = response
    set_headers(response, request.get(CORRELATION_OF_REQUEST, ""))
