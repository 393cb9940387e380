"""Asks for confirmation at the terminal; a script has to pass --yes instead."""

import sys
from typing import Annotated, Final

import typer

from qvdnode.cli.exit_codes import ExitCode
from qvdnode.model.errors import Invalid
from qvdnode.wire.plain_text import printable_lines

YesFlag = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
YES: Final = frozenset({"y", "yes"})
NO: Final = frozenset({"", "n", "no"})


def confirmed(question: str) -> bool:
    """Whether the answer is yes; raises Abort when nobody answers.

    The question goes to stderr completely. typer's own question writes a blank to stdout, which
    would get into the command's output.
    """
    while True:
        typer.echo(f"{printable_lines(question)} [y/N]: ", err=True, nl=False)
        answer = sys.stdin.readline()
        if not answer:
            raise typer.Abort
        said = answer.strip().lower()
        if said in YES | NO:
            return said in YES
        typer.echo("Answer y or n.", err=True)


def ask_first(question: str, *, yes: bool) -> None:
    """Return if the answer is yes; end the command if it is no or nobody answers."""
    if yes:
        return
    try:
        agreed = confirmed(question)
    except typer.Abort:
        raise Invalid("Nobody answered: add --yes to do it without being asked.") from None
    if not agreed:
        typer.echo("Nothing was changed.", err=True)
        raise typer.Exit(ExitCode.FAILED)
