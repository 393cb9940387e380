"""Turns pydantic's errors into sentences that say what to change in a request; pure.

The sentences never repeat a value, because it may be a password.
"""

from collections.abc import Iterable
from typing import Final

from pydantic import BaseModel

from qvdnode.admin.fields import MEANINGS
from qvdnode.model.validation_text import Facts, validation_text

TOLD_MAX: Final = 5
"""How many errors one answer lists."""
NAME_MAX: Final = 64
PATTERN: Final = "string_pattern_mismatch"
UNKNOWN: Final = "extra_forbidden"
NO_OBJECT: Final = frozenset({"model_type", "model_attributes_type"})


def sentences(model: type[BaseModel], errors: Iterable[Facts], kind: str) -> str:
    """Return a text that lists the errors; `kind` is the word for a part, field or parameter."""
    told = dict.fromkeys(_sentence(model, error, kind) for error in errors)
    return " ".join(list(told)[:TOLD_MAX])


def part_of(error: Facts) -> str:
    """Return the name of the invalid part; empty when the whole request is invalid."""
    return ".".join(str(step)[:NAME_MAX] for step in error["loc"])


def _sentence(model: type[BaseModel], error: Facts, kind: str) -> str:
    if error["type"] in NO_OBJECT:
        return 'The body must be a JSON object, such as {"name": "value"}.'
    name = part_of(error)
    if error["type"] == UNKNOWN:
        return f"There is no {kind} {name}; {_known(model, kind)}."
    if error["type"] == PATTERN:
        return f"{name} must be {MEANINGS[error['ctx']['pattern']]}."
    return f"{name or 'The request'} {validation_text(error)}."


def _known(model: type[BaseModel], kind: str) -> str:
    names = list(model.model_fields)
    if not names:
        return f"this request has no {kind}s"
    return f"the {kind}s are {', '.join(names)}" if names[1:] else f"the only one is {names[0]}"
