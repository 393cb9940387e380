"""Chooses the configuration file, by the same rule for all commands of a node."""

from pathlib import Path
from typing import Annotated, Final

import typer

DEFAULT: Final = Path("/etc/qvdnode/qvdnode.toml")
"""Where `qvdnode init` writes the file, and where the service and all commands look for it."""

ConfigFile = Annotated[
    Path | None,
    typer.Option(
        "--config",
        help=f"TOML file, described in docs/config.md; {DEFAULT} where it exists.",
    ),
]


def chosen(given: Path | None) -> Path | None:
    """Return the given file, or the default one; None without a file: all settings default."""
    if given is not None:
        return given
    try:
        return DEFAULT if DEFAULT.exists() else None
    except PermissionError:
        return DEFAULT  # the reader of the file reports the error


def told(file: Path | None) -> str:
    """Return a phrase for messages."""
    return "No file, so every setting has its default" if file is None else str(file)
