"""Errors of the farm on the wire between nodes: by their code, with their fields. Pure."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

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
    NodeBusy,
    NodeFull,
    NotFound,
    Throttled,
    TimedOut,
    Unauthenticated,
    Unavailable,
)
from qvdnode.wire.peer_frames import Failure
from qvdnode.wire.typed_values import BadValue, from_plain

CANCELLED: Final = "cancelled"
"""The code of a call that was cancelled by who made it."""
UNKNOWN_CALL: Final = "unknown_call"
"""The code of a call that the other node does not know: it is older."""


@dataclass(frozen=True, slots=True)
class _Fields:
    """What any error may have besides its message."""

    field: str | None = None
    key: str | None = None
    retry_after_s: float = 0.0
    waiting: int = 0
    step: str = ""


Make = Callable[[str, _Fields], FarmError]


def _plain(kind: type[FarmError]) -> Make:
    return lambda message, _fields: kind(message)


PLAIN: Final = (
    Unauthenticated,
    Forbidden,
    NotFound,
    Conflict,
    NodeFull,
    HomeFull,
    Unavailable,
    TimedOut,
    LeaseLost,
    HostFailed,
    BadImage,
)
"""The errors that are a message and nothing else."""
KINDS: Final[dict[str, Make]] = {
    **{kind.code: _plain(kind) for kind in PLAIN},
    Invalid.code: lambda message, fields: Invalid(message, field=fields.field),
    Throttled.code: lambda message, fields: Throttled(message, retry_after_s=fields.retry_after_s),
    NodeBusy.code: lambda message, fields: NodeBusy(message, waiting=fields.waiting),
    GuestFailed.code: lambda message, fields: GuestFailed(message, step=fields.step),
    BadConfig.code: lambda message, fields: BadConfig(message, key=fields.key),
}
"""How the error of each code is made. A subclass that shares its parent's code becomes that."""


def failure_of(call_id: int, error: FarmError) -> Failure:
    """The answer to a call that failed like this."""
    match error:
        case Invalid():
            facts: dict[str, object] = {"field": error.field}
        case Throttled():
            facts = {"retry_after_s": float(error.retry_after_s)}
        case NodeBusy():
            facts = {"waiting": error.waiting}
        case GuestFailed():
            facts = {"step": error.step}
        case BadConfig():
            facts = {"key": error.key}
        case _:
            facts = {}
    return Failure(call_id, error.code, str(error), facts)


def error_of(failure: Failure) -> FarmError:
    """The error that a call failed with; Unavailable for one that only a newer node knows."""
    make = KINDS.get(failure.code)
    if make is None:
        return Unavailable(failure.message)
    try:
        return make(failure.message, from_plain(_Fields, failure.fields))
    except BadValue:
        return make(failure.message, _Fields())
