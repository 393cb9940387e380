"""Turns errors into `application/problem+json` answers. Only this file maps errors to statuses.

Every problem has a stable `code`, the `title` of its class and a `detail` that says what to do; one
about invalid input also has the `field` to change.
"""

import math
from dataclasses import dataclass
from typing import Final

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field

from qvdnode.model.errors import (
    BadConfig,
    BadImage,
    Conflict,
    FarmError,
    Forbidden,
    GuestFailed,
    HomeFull,
    HostFailed,
    Invalid,
    LeaseLost,
    NodeFull,
    NotFound,
    Throttled,
    TimedOut,
    Unauthenticated,
    Unavailable,
)
from qvdnode.telemetry.correlation import correlation_id

MEDIA_TYPE: Final = "application/problem+json"


class Malformed(FarmError):
    """The body is not JSON."""

    code = "malformed"


class MethodNotAllowed(FarmError):
    """The path exists, the method does not."""

    code = "method_not_allowed"


class BodyTooSlow(FarmError):
    """The body did not arrive within its limit."""

    code = "body_too_slow"


class BodyTooLarge(FarmError):
    """The body is longer than this endpoint takes."""

    code = "body_too_large"


class UnsupportedMedia(FarmError):
    """The body is of another kind than this endpoint takes."""

    code = "unsupported_media"


class ExpectationFailed(FarmError):
    """The header `Expect` asks for something other than `100-continue`."""

    code = "expectation_failed"


@dataclass(frozen=True, slots=True)
class ErrorAnswer:
    """The HTTP status and title of one class of errors."""

    status: int
    title: str


ERROR_ANSWERS: Final[dict[type[FarmError], ErrorAnswer]] = {
    Malformed: ErrorAnswer(400, "The body cannot be read"),
    Unauthenticated: ErrorAnswer(401, "A valid token is needed"),
    Forbidden: ErrorAnswer(403, "This is not allowed"),
    NotFound: ErrorAnswer(404, "There is no such thing"),
    MethodNotAllowed: ErrorAnswer(405, "The path does not take this method"),
    BodyTooSlow: ErrorAnswer(408, "The body took too long"),
    Conflict: ErrorAnswer(409, "The request conflicts with the current state"),
    LeaseLost: ErrorAnswer(409, "Another node owns this VM"),
    BodyTooLarge: ErrorAnswer(413, "The body is too large"),
    UnsupportedMedia: ErrorAnswer(415, "The body is of the wrong kind"),
    ExpectationFailed: ErrorAnswer(417, "The request expects something that the node does not do"),
    Invalid: ErrorAnswer(422, "The request has invalid values"),
    BadImage: ErrorAnswer(422, "The image cannot be used"),
    Throttled: ErrorAnswer(429, "Too many attempts"),
    HostFailed: ErrorAnswer(500, "A step failed on the host"),
    BadConfig: ErrorAnswer(500, "The configuration is wrong"),
    GuestFailed: ErrorAnswer(502, "The desktop did not start"),
    NodeFull: ErrorAnswer(503, "The node is full"),
    Unavailable: ErrorAnswer(503, "A part of the farm is unavailable"),
    HomeFull: ErrorAnswer(507, "The home is full"),
    TimedOut: ErrorAnswer(504, "The operation took too long"),
}
INTERNAL: Final = ErrorAnswer(500, "The node failed")
INTERNAL_CODE: Final = "internal"
MISCONFIGURED: Final = (
    "The node's configuration is wrong; its log has the details under the correlation id."
)
"""Replaces the error's own text, which may name hosts or quote the database."""


class Problem(BaseModel):
    """An error, for programs (`code`, `field`) and for people (`title`, `detail`)."""

    model_config = ConfigDict(extra="forbid")

    type: str = "about:blank"
    title: str
    status: int
    code: str = Field(description="Stable; docs/rest.md lists all codes.")
    detail: str
    field: str | None = Field(default=None, description="The part of the request to change.")
    correlation: str = Field(description="The same id as in the log of the node.")


def error_answer(error: type[FarmError]) -> ErrorAnswer:
    """Return the status and title for a class of errors; a class without a row has its parent's."""
    rows = (ERROR_ANSWERS[parent] for parent in error.__mro__ if parent in ERROR_ANSWERS)
    return next(rows, INTERNAL)


def problem_of(error: FarmError) -> Problem:
    """Return the problem document of an expected error."""
    kind = error_answer(type(error))
    return Problem(
        title=kind.title,
        status=kind.status,
        code=error.code,
        detail=MISCONFIGURED if isinstance(error, BadConfig) else str(error),
        field=error.field if isinstance(error, Invalid) else None,
        correlation=correlation_id.get(),
    )


def internal_problem() -> Problem:
    """Return the problem document of a bug; the log has the traceback with the correlation id."""
    return Problem(
        title=INTERNAL.title,
        status=INTERNAL.status,
        code=INTERNAL_CODE,
        detail="This is an error of the node; its log has the details under the correlation id.",
        correlation=correlation_id.get(),
    )


def answer(problem: Problem, headers: dict[str, str] | None = None) -> web.Response:
    """Return the HTTP answer with a problem."""
    return web.Response(
        status=problem.status,
        body=problem.model_dump_json(exclude_none=True).encode(),
        content_type=MEDIA_TYPE,
        headers=headers,
    )


def answer_error(error: FarmError) -> web.Response:
    """Return the HTTP answer of an expected error, with the headers for its class."""
    headers: dict[str, str] = {}
    if isinstance(error, Unauthenticated):
        headers["WWW-Authenticate"] = 'Bearer realm="qvdnode"'
    if isinstance(error, Throttled):
        headers["Retry-After"] = str(max(1, math.ceil(error.retry_after_s)))
    return answer(problem_of(error), headers)
