"""An option for each field of a resource, declared once for all commands that take them."""

import functools
import inspect
from collections.abc import Callable, Mapping
from inspect import Parameter
from typing import Any

Command = Callable[..., None]


def takes(options: Mapping[str, Any]) -> Callable[[Command], Command]:
    """Give a command an option for each field, at the place of its parameter `given`.

    The type of each is optional, annotated as typer wants it. `given` gets what was given, by the
    names of the fields; what was left out is not in it.
    """

    def decorate(command: Command) -> Command:
        signature = inspect.signature(command)
        fields = [
            Parameter(name, Parameter.KEYWORD_ONLY, default=None, annotation=kind)
            for name, kind in options.items()
        ]
        parameters = [
            parameter
            for own in signature.parameters.values()
            for parameter in (fields if own.name == "given" else [own])
        ]

        @functools.wraps(command)
        def with_fields(**values: Any) -> None:  # noqa: ANN401 - as typer read them
            given = {name: value for name in options if (value := values.pop(name)) is not None}
            command(**values, given=given)

        shown = signature.replace(parameters=parameters)
        with_fields.__signature__ = shown  # type: ignore[attr-defined]  # what typer looks at
        return with_fields

    return decorate
