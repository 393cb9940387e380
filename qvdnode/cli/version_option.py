"""`--version` of both programs."""

from importlib.metadata import version
from typing import Annotated

import typer


def show(context: typer.Context, wanted: bool) -> None:  # noqa: FBT001 - typer calls it so
    """Print the program's name and version, and end."""
    if wanted:
        typer.echo(f"{context.find_root().command.name} {version('qvdnode')}")
        raise typer.Exit


VersionFlag = Annotated[
    bool,
    typer.Option("--version", callback=show, is_eager=True, help="Print the version and end."),
]


def program(*, version: VersionFlag = False) -> None:
    """Take the options that stand before the command."""
