"""Which configuration the commands of a node go by: all of them choose alike."""

from pathlib import Path
from typing import Annotated, Final

import typer

DEFAULT: Final = Path("/etc/qvdnode/qvdnode.toml")
"""Where `qvdnode init` puts it, the service looks for it, and commands do unless told."""

ConfigFile = Annotated[
    Path | None,
    typer.Option(
        "--config",
        help=f"TOML file, described in docs/config.md; {DEFAULT} where it exists.",
    ),
]


def chosen(given: Path | None) -> Path | None:
    """The file that was given, or the default one; None where there is none: all defaults."""
    if given is not None:
        return given
    try:
        return DEFAULT if DEFAULT.exists() else None
    except PermissionError:
        return DEFAULT  # to be told by whoever reads it, not passed over


def told(file: Path | None) -> str:
    """A phrase for a person."""
    return "No file, so every setting has its default" if file is None else str(file)
