"""Asks the person at the terminal before something is lost; without a person, --yes is needed."""

# tested-by: tests/integration/cli/test_qvd_program.py

from typing import Annotated

import typer

from qvdnode.cli.exit_codes import ExitCode
from qvdnode.model.errors import Invalid

YesFlag = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


def ask_first(question: str, *, yes: bool) -> None:
    """Return if the answer is yes; end the command if it is no, or if nobody answers."""
    if yes:
        return
    try:
        agreed = typer.confirm(question, err=True)
    except typer.Abort:
        raise Invalid("Nobody answered: add --yes to do it without being asked.") from None
    if not agreed:
        typer.echo("Nothing was changed.", err=True)
        raise typer.Exit(ExitCode.FAILED)
