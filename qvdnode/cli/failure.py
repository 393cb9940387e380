"""How every command ends when something does not work: one line on stderr, and its exit code."""

from typing import Any

import typer
from rich.console import Console
from rich.markup import escape
from typer.core import TyperGroup

from qvdnode.cli.exit_codes import exit_code_of
from qvdnode.model.errors import FarmError
from qvdnode.wire.plain_text import printable_lines


class TellingGroup(TyperGroup):
    """The commands of a program; the one place where errors of the farm end them."""

    def invoke(self, ctx: Any) -> Any:  # noqa: ANN401 - typer keeps the type to itself
        """Run the command that was asked for; what it raises is told and becomes an exit code."""
        try:
            return super().invoke(ctx)
        except FarmError as error:
            complain(str(self.name), str(error))
            raise typer.Exit(exit_code_of(error)) from error


def complain(program: str, sentence: str) -> None:
    """Tell on stderr who says what is wrong; a guest's last words may be among it."""
    stderr = Console(stderr=True, highlight=False)
    stderr.print(f"[red]{program}:[/red] {escape(printable_lines(sentence))}", soft_wrap=True)
