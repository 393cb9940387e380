"""What a server's refusal means: its status and its sentence become one of our errors."""

from typing import Final

from qvdnode.model.errors import (
    FarmError,
    Forbidden,
    GuestFailed,
    Invalid,
    NotFound,
    TimedOut,
    Unauthenticated,
    Unavailable,
)
from qvdnode.wire.qvd_client import Answered

KINDS: Final[dict[int, type[FarmError]]] = {
    400: Invalid,
    401: Unauthenticated,
    403: Forbidden,
    404: NotFound,
    408: TimedOut,
    422: Invalid,
    426: Invalid,
    502: Unavailable,
    503: Unavailable,
    505: Invalid,
}

SENTENCE_BYTES: Final = 1_000
"""Most bytes of an answer's body for a person; a hostile server may send millions."""
PERMANENT: Final = (Forbidden, Invalid, NotFound, Unauthenticated)
"""Errors that another attempt to connect cannot solve."""


def error_of(answer: Answered) -> FarmError:
    """The error that an answer other than 200 stands for."""
    text = " ".join(answer.body[:SENTENCE_BYTES].decode(errors="replace").split())
    if answer.status == 401:
        return Unauthenticated("The login or the password is wrong, or the account is blocked.")
    kind = KINDS.get(answer.status)
    sentence = text or f"The server answered {answer.status} and no reason."
    return GuestFailed(sentence, step="server") if kind is None else kind(sentence)
