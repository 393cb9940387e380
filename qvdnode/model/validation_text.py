"""Texts for people about invalid values, by pydantic's error types.

For requests and for the configuration. Values are never repeated: one may be a password.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

from qvdnode.model.plurals import counted

Facts = Mapping[str, Any]
"""What pydantic says about one error, or the part of it that holds the bound that was passed."""

SENTENCES: Final[dict[str, Callable[[Facts], str]]] = {
    "missing": lambda _: "is missing",
    "string_type": lambda _: "must be text, in quotes",
    "string_too_short": lambda facts: f"must have {_characters(facts, 'min_length')} or more",
    "string_too_long": lambda facts: f"must have {_characters(facts, 'max_length')} at most",
    "too_short": lambda facts: f"must have {_items(facts, 'min_length')} or more",
    "too_long": lambda facts: f"must have {_items(facts, 'max_length')} at most",
    "int_type": lambda _: "must be a whole number such as 7, not '7' or 7.5",
    "int_from_float": lambda _: "must be a whole number",
    "int_parsing": lambda _: "must be a whole number",
    "int_parsing_size": lambda _: "is too large a number",
    "float_type": lambda _: "must be a number, not in quotes",
    "float_parsing": lambda _: "must be a number",
    "finite_number": lambda _: "must be a finite number",
    "greater_than_equal": lambda facts: f"must be {facts['ge']} or more",
    "less_than_equal": lambda facts: f"must be {facts['le']} or less",
    "bool_type": lambda _: "must be true or false, not in quotes",
    "bool_parsing": lambda _: "must be true or false",
    "literal_error": lambda facts: f"must be {_plain(facts['expected'])}",
    "enum": lambda facts: f"must be {_plain(facts['expected'])}",
    "tuple_type": lambda _: "must be a list in square brackets",
    "list_type": lambda _: "must be a list in square brackets",
    "value_error": lambda facts: str(facts["error"]),
    "path_type": lambda _: "must be a path, in quotes",
    "ip_v4_address": lambda _: "must be an IPv4 address such as 10.0.0.1",
    "ip_v4_network": lambda _: "must be an IPv4 network such as 10.117.0.0/20",
}


def validation_text(error: Facts) -> str:
    """Return the text to follow the field's name, such as `must be 64 or more`."""
    sentence = SENTENCES.get(error["type"])
    return sentence(error.get("ctx", {})) if sentence else "has a value that does not fit"


def _characters(facts: Facts, bound: str) -> str:
    return counted(int(facts[bound]), "character")


def _items(facts: Facts, bound: str) -> str:
    """So many elements of a list, or characters of a secret."""
    if facts.get("field_type") == "List":
        return counted(int(facts[bound]), "element")
    return _characters(facts, bound)


def _plain(expected: object) -> str:
    """`'lxc' or 'memory'` without its quotes."""
    return str(expected).replace("'", "")
