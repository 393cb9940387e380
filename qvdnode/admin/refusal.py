"""What is wrong with a request, in sentences a person can act on; pure.

Values are never repeated: one may be a password.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from pydantic import BaseModel

from qvdnode.admin.fields import MEANINGS

TOLD_MAX: Final = 5
"""So many sentences are enough to work on."""
NAME_MAX: Final = 64

Facts = Mapping[str, Any]
"""What pydantic says about one error, or the part of it that holds the bound that was passed."""

RULES: Final[dict[str, Callable[[Facts], str]]] = {
    "missing": lambda _: "is missing",
    "string_pattern_mismatch": lambda facts: f"must be {MEANINGS[facts['pattern']]}",
    "string_too_short": lambda facts: f"must have {_characters(facts, 'min_length')} or more",
    "string_too_long": lambda facts: f"must have {_characters(facts, 'max_length')} at most",
    "too_short": lambda facts: f"must have {_characters(facts, 'min_length')} or more",
    "too_long": lambda facts: f"must have {_characters(facts, 'max_length')} at most",
    "string_type": lambda _: "must be text, in quotes",
    "int_type": lambda _: "must be a whole number, not in quotes",
    "int_from_float": lambda _: "must be a whole number",
    "int_parsing": lambda _: "must be a whole number",
    "int_parsing_size": lambda _: "is too large a number",
    "greater_than_equal": lambda facts: f"must be {facts['ge']} or more",
    "less_than_equal": lambda facts: f"must be {facts['le']} or less",
    "bool_type": lambda _: "must be true or false, not in quotes",
    "bool_parsing": lambda _: "must be true or false",
    "literal_error": lambda facts: f"must be {_plain(facts['expected'])}",
    "enum": lambda facts: f"must be {_plain(facts['expected'])}",
}
UNKNOWN: Final = "extra_forbidden"
NO_OBJECT: Final = frozenset({"model_type", "model_attributes_type"})


def sentences(model: type[BaseModel], errors: Iterable[Facts], kind: str) -> str:
    """All that is wrong, `kind` being what the parts are called: field or parameter."""
    told = dict.fromkeys(_sentence(model, error, kind) for error in errors)
    return " ".join(list(told)[:TOLD_MAX])


def part_of(error: Facts) -> str:
    """The name of the part that is wrong; empty when the whole is."""
    return ".".join(str(step)[:NAME_MAX] for step in error["loc"])


def _sentence(model: type[BaseModel], error: Facts, kind: str) -> str:
    if error["type"] in NO_OBJECT:
        return 'The body must be a JSON object, such as {"name": "value"}.'
    name = part_of(error)
    if error["type"] == UNKNOWN:
        return f"There is no {kind} {name}; {_known(model, kind)}."
    rule = RULES.get(error["type"])
    return f"{name} {rule(error.get('ctx', {})) if rule else 'has a value that does not fit'}."


def _known(model: type[BaseModel], kind: str) -> str:
    names = list(model.model_fields)
    if not names:
        return f"this request has no {kind}s"
    return f"the {kind}s are {', '.join(names)}" if names[1:] else f"the only one is {names[0]}"


def _characters(facts: Facts, bound: str) -> str:
    number = int(facts[bound])
    return "1 character" if number == 1 else f"{number} characters"


def _plain(expected: object) -> str:
    """`'lxc' or 'memory'` without its quotes."""
    return str(expected).replace("'", "")
