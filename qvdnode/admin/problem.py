"""Errors as `application/problem+json`: the one place where an error becomes a status.

Every problem has a stable `code`, a `title` for its kind, a `detail` a person can act on, and, for
refused input, the `field` to change.
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
    """The body is not JSON at all."""

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
class Kind:
    """How one class of errors is answered."""

    status: int
    title: str


KINDS: Final[dict[type[FarmError], Kind]] = {
    Malformed: Kind(400, "The body cannot be read"),
    Unauthenticated: Kind(401, "A valid token is needed"),
    Forbidden: Kind(403, "This is not allowed"),
    NotFound: Kind(404, "There is no such thing"),
    MethodNotAllowed: Kind(405, "The path does not take this method"),
    BodyTooSlow: Kind(408, "The body took too long"),
    Conflict: Kind(409, "This does not fit what is there"),
    LeaseLost: Kind(409, "Another node owns this VM"),
    BodyTooLarge: Kind(413, "The body is too large"),
    UnsupportedMedia: Kind(415, "The body is of the wrong kind"),
    ExpectationFailed: Kind(417, "The request expects what the node does not do"),
    Invalid: Kind(422, "The request makes no sense as it is"),
    BadImage: Kind(422, "The image cannot be used"),
    Throttled: Kind(429, "Too many attempts"),
    HostFailed: Kind(500, "The host refused a step"),
    BadConfig: Kind(500, "The configuration is wrong"),
    GuestFailed: Kind(502, "The desktop did not come up"),
    NodeFull: Kind(503, "The node is full"),
    Unavailable: Kind(503, "A part of the farm is away"),
    TimedOut: Kind(504, "It took too long"),
}
INTERNAL: Final = Kind(500, "Something went wrong inside the node")
INTERNAL_CODE: Final = "internal"
MISCONFIGURED: Final = (
    "The node's configuration does not work; its log has the details under the correlation id."
)
"""Instead of the error's own sentence, which may name hosts and repeat what the database said."""


class Problem(BaseModel):
    """What went wrong, for programs (`code`, `field`) and for people (`title`, `detail`)."""

    model_config = ConfigDict(extra="forbid")

    type: str = "about:blank"
    title: str
    status: int
    code: str = Field(description="Stable; docs/rest.md says which there are.")
    detail: str
    field: str | None = Field(default=None, description="The part of the request to change.")
    correlation: str = Field(description="The same id as in the log of the node.")


def kind_of(error: type[FarmError]) -> Kind:
    """How errors of that class are answered; a class without a row is answered like its parent."""
    return next((KINDS[parent] for parent in error.__mro__ if parent in KINDS), INTERNAL)


def problem_of(error: FarmError) -> Problem:
    """The problem document of an expected error."""
    kind = kind_of(type(error))
    return Problem(
        title=kind.title,
        status=kind.status,
        code=error.code,
        detail=MISCONFIGURED if isinstance(error, BadConfig) else str(error),
        field=error.field if isinstance(error, Invalid) else None,
        correlation=correlation_id.get(),
    )


def internal_problem() -> Problem:
    """The problem document of a bug; what it was stands in the log under the correlation id."""
    return Problem(
        title=INTERNAL.title,
        status=INTERNAL.status,
        code=INTERNAL_CODE,
        detail="This is an error of the node; its log has the details under the correlation id.",
        correlation=correlation_id.get(),
    )


def answer(problem: Problem, headers: dict[str, str] | None = None) -> web.Response:
    """The HTTP answer that carries a problem."""
    return web.Response(
        status=problem.status,
        body=problem.model_dump_json(exclude_none=True).encode(),
        content_type=MEDIA_TYPE,
        headers=headers,
    )


def answer_error(error: FarmError) -> web.Response:
    """The HTTP answer of an expected error, with the headers its kind asks for."""
    headers: dict[str, str] = {}
    if isinstance(error, Unauthenticated):
        headers["WWW-Authenticate"] = 'Bearer realm="qvdnode"'
    if isinstance(error, Throttled):
        headers["Retry-After"] = str(max(1, math.ceil(error.retry_after_s)))
    return answer(problem_of(error), headers)
