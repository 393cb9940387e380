"""Parsers for numbers on the command line; an invalid one ends the command with a sentence."""

from collections.abc import Callable
from typing import Any

import typer


def whole(least: int, most: int | None = None) -> Callable[[Any], int]:
    """Return a parser of whole numbers, for `typer.Option(parser=...)`."""

    def number(text: Any) -> int:  # noqa: ANN401 - typer passes a default unparsed, not as text
        return int(_within(int, text, least, most, "a whole number"))

    return number


def at_least(least: float) -> Callable[[Any], float]:
    """Return a parser of numbers that may have a fraction."""

    def number(text: Any) -> float:  # noqa: ANN401 - as above
        return _within(float, text, least, None, "a number")

    return number


def _within(
    kind: Callable[[Any], float], text: object, least: float, most: float | None, what: str
) -> float:
    bounds = f"{least:g} or more" if most is None else f"{least:g} to {most:g}"
    try:
        value = kind(text)
    except ValueError:
        raise typer.BadParameter(f"must be {what}, {bounds}.") from None
    if not least <= value or (most is not None and value > most):
        raise typer.BadParameter(f"must be {bounds}.")
    return value
