"""Times on the command line, such as 90s, 30m, 8h or 3d."""

import re
from typing import Any, Final

import typer

_TIME: Final = re.compile(r"(\d{1,9})([smhdw]?)", re.ASCII)
_UNITS: Final = {"": 1, "s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}


def seconds(text: Any) -> int:  # noqa: ANN401 - typer passes a default unparsed, not as text
    """The seconds of a time; a number alone is seconds. For `typer.Option(parser=seconds)`."""
    found = _TIME.fullmatch(str(text))
    if found is None:
        raise typer.BadParameter("must be a time such as 90s, 30m, 8h or 3d.")
    return int(found[1]) * _UNITS[found[2]]
