"""The common part of both programs: `--version`, and the end of a command that fails."""

from importlib.metadata import version as installed_version
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from typer.core import TyperGroup

from qvdnode.cli.exit_codes import exit_code_of
from qvdnode.model.errors import FarmError
from qvdnode.wire.plain_text import printable_lines


class TellingGroup(TyperGroup):
    """The commands of a program; turns errors of the farm into messages and exit codes."""

    def invoke(self, ctx: Any) -> Any:  # noqa: ANN401 - typer keeps the type to itself
        """Run the command; print its error and exit with the error's code."""
        try:
            return super().invoke(ctx)
        except FarmError as error:
            complain(str(self.name), str(error))
            raise typer.Exit(exit_code_of(error)) from error


def program(name: str, purpose: str) -> typer.Typer:
    """Create a program without commands; its help begins with its purpose."""
    app = typer.Typer(
        name=name,
        help=purpose,
        no_args_is_help=True,
        pretty_exceptions_show_locals=False,
        cls=TellingGroup,
    )
    app.callback()(_options)
    return app


def complain(name: str, sentence: str) -> None:
    """Print an error on stderr, after the program's name; it may contain a guest's log lines."""
    stderr = Console(stderr=True, highlight=False)
    stderr.print(f"[red]{name}:[/red] {escape(printable_lines(sentence))}", soft_wrap=True)


def _show_version(context: typer.Context, wanted: bool) -> None:  # noqa: FBT001 - typer calls it so
    if wanted:
        typer.echo(f"{context.find_root().command.name} {installed_version('qvdnode')}")
        raise typer.Exit


VersionFlag = Annotated[
    bool,
    typer.Option(
        "--version", callback=_show_version, is_eager=True, help="Print the version and end."
    ),
]


def _options(*, version: VersionFlag = False) -> None:
    """Take the options before the command."""
