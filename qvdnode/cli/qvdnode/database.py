"""`qvdnode database`: where the farm's database is, and moving the farm to another one."""

import asyncio
import os
import sys
from dataclasses import asdict
from typing import Annotated, Final

import typer

from qvdnode.cli.answer_tables import JsonFlag, show_json, tell
from qvdnode.cli.config_file import ConfigFile, chosen, told
from qvdnode.cli.examples import examples
from qvdnode.daemon.load import load
from qvdnode.daemon.move_database import (
    EMBEDDED,
    MoveReport,
    move_database,
    show_database,
)
from qvdnode.model.errors import Invalid
from qvdnode.model.plurals import counted
from qvdnode.runtime.clock import SystemClock

app = typer.Typer(help="The farm's database.", no_args_is_help=True)

MOVE_EXAMPLES: Final = examples(
    "qvdnode database move --to postgresql://qvdnode:SECRET@db1:5432,db2:5432/qvdnode",
    "qvdnode database move --to - < dsn.txt",
    "qvdnode database move --to embedded",
)
STEPS: Final = {
    "waiting": "waiting for those that write just now",
    "table": "copied {what}: {rows}",
    "copied": "the copy is complete: {rows}",
    "verified": "verified {what}: {rows}",
    "left": "the farm is in the other database now; waiting for its nodes",
    "followed": "node {what} has followed",
}


@app.command(epilog=examples("qvdnode database show", "qvdnode database show --json"))
def show(*, config: ConfigFile = None, as_json: JsonFlag = False) -> None:
    """Show where the farm's database is, as this host knows it."""
    file = chosen(config)
    standing = asyncio.run(show_database(load(file, os.environ), SystemClock()))
    if as_json:
        show_json(asdict(standing))
        return
    typer.echo(f"database       {standing.place}")
    typer.echo(f"moves          {standing.moves}")
    typer.echo(f"answers        {'yes' if standing.available else 'no'}")
    if standing.superseded_dsn:
        tell(outdated(told(file)))


@app.command(epilog=MOVE_EXAMPLES)
def move(
    to: Annotated[
        str,
        typer.Option(
            "--to",
            metavar="DSN",
            help="The other database; `embedded`: this node's; -: from stdin.",
        ),
    ],
    *,
    config: ConfigFile = None,
    force: Annotated[
        bool, typer.Option("--force", help="Replace what people made in the other database.")
    ] = False,
    as_json: JsonFlag = False,
) -> None:
    """Move the farm to another database, on any of its nodes, while all of them serve.

    Tables are copied and compared, and the numbers that sequences have given. Desktops run on;
    nothing can be changed meanwhile, and sessions go on. Until it says that the farm is in the
    other database it is where it was, whatever happens: run the command again. Afterwards another
    `move` leads back.
    """
    file = chosen(config)
    settings = load(file, os.environ)
    wanted = sys.stdin.readline().strip() if to == "-" else to
    if not wanted:
        raise Invalid("There was no DSN on the standard input.", field="to")

    def progress(step: str, what: str, rows: int) -> None:
        if step in STEPS:
            text = STEPS[step].format(what=what, rows=counted(rows, "row"))
            typer.echo(text, err=True)

    report = asyncio.run(move_database(settings, wanted, SystemClock(), force=force, tell=progress))
    if as_json:
        show_json(asdict(report))
        return
    _show(report, told(file), back=wanted == EMBEDDED)


def _show(report: MoveReport, file: str, *, back: bool) -> None:
    rows = sum(table.rows for table in report.tables)
    typer.echo(f"moved          {counted(rows, 'row')} of {counted(len(report.tables), 'table')}")
    typer.echo(f"from           {report.before}")
    typer.echo(f"to             {report.after}")
    typer.echo(f"took           {report.seconds:g} s, in which nothing could be changed")
    if report.followed:
        typer.echo(f"follow         {', '.join(report.followed)}")
    if report.missing:
        tell(
            f"Not yet there: {', '.join(report.missing)}. See with `qvdnode doctor` on each whether"
            " it reaches the database; it follows when it does, or `move` leads back."
        )
    if report.superseded_dsn:
        tell(outdated(file))
    if not back:
        tell("The way back: qvdnode database move --to embedded, on the node that shall run it.")


def outdated(file: str) -> str:
    """What to do about a configuration that names a database which the farm has left."""
    return (
        f"The configuration ({file}) names another database, which the farm has left; nodes pass"
        " it over. Correct [database] dsn there, or remove the line."
    )
