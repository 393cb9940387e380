"""Turns errors into answers that QVD clients understand.

This is one of the two request boundaries, which catch every exception.
"""

import logging
import math
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from qvdnode.model.errors import (
    BadConfig,
    Conflict,
    FarmError,
    Forbidden,
    GuestFailed,
    HomeFull,
    Invalid,
    LeaseLost,
    NodeFull,
    NotFound,
    Throttled,
    TimedOut,
    Unauthenticated,
    Unavailable,
)
from qvdnode.wire.qvd_answers import CHALLENGE, Answer, sentence

log = logging.getLogger(__name__)

T = TypeVar("T")

STATUS: Final[dict[type[FarmError], int]] = {
    Unauthenticated: 401,
    Forbidden: 403,
    NotFound: 404,
    Invalid: 400,
    TimedOut: 408,
    GuestFailed: 500,
    NodeFull: 503,
    HomeFull: 503,
    Unavailable: 503,
    LeaseLost: 503,
    Conflict: 503,
    # Old clients do not know 429; for 503 they show the sentence.
    Throttled: 503,
}
UNEXPECTED: Final = "The server failed; its log has the details. Try again later."


async def answered(work: Awaitable[T], tell: Callable[[FarmError], None]) -> T | Answer:
    """Return the result of the work, or the answer for its error; `tell` gets each refusal."""
    try:
        return await work
    except (Unauthenticated, Throttled) as error:
        return answer_for(error)  # auth logs these, a limited number a minute
    except FarmError as error:
        tell(error)
        return answer_for(error)
    except Exception:
        log.exception("request_failed")
        return sentence(500, UNEXPECTED)


def answer_for(error: FarmError) -> Answer:
    """Return the status for this class of errors, with the error's sentence."""
    status = next((STATUS[kind] for kind in type(error).__mro__ if kind in STATUS), 500)
    match error:
        case Unauthenticated():
            return sentence(status, str(error), CHALLENGE)
        case Throttled():
            wait_s = max(1, math.ceil(error.retry_after_s))
            return sentence(status, str(error), ("Retry-After", str(wait_s)))
        case Invalid(field="id"):
            return sentence(422, str(error))
        case BadConfig():
            return sentence(500, UNEXPECTED)  # its own sentence is for administrators, in the log
        case _:
            return sentence(status, str(error))
