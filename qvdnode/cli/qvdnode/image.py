"""`qvdnode image build`: makes the root file system of a desktop, to be imported as an image."""

import os
from pathlib import Path
from typing import Annotated, Final

import typer

from qvdnode.cli.answer_tables import JsonFlag, show_json, tell
from qvdnode.cli.build_progress import each_once
from qvdnode.cli.examples import examples
from qvdnode.cli.exit_codes import ExitCode
from qvdnode.client.ending import run_to_signal
from qvdnode.image import builder, recipes
from qvdnode.image.core.recipe import Recipe
from qvdnode.model.errors import Forbidden

app = typer.Typer(help="Root file systems of desktops, to be imported.", no_args_is_help=True)

BUILD_EXAMPLES: Final = examples(
    "qvdnode image build icewm /var/lib/icewm",
    "qvdnode image build icewm /var/lib/icewm --json",
)


@app.callback()
def image() -> None:
    """Root file systems of desktops, to be imported."""


@app.command(epilog=BUILD_EXAMPLES)
def build(
    recipe: Annotated[str, typer.Argument(help="What to build: icewm.")],
    folder: Annotated[Path, typer.Argument(help="Where to; it must not exist yet.")],
    *,
    as_json: JsonFlag = False,
) -> None:
    """Build a desktop's root file system from the host's own package sources, as root.

    Takes a minute or two and about 500 MiB. `qvd image import` brings it into a farm.
    """
    what, where = recipes.by_name(recipe), folder.absolute()
    if os.geteuid() != 0:
        raise Forbidden("The files of an image have owners of its own: build it as root.")
    if run_to_signal(_built(what, where)) is None:
        raise typer.Exit(ExitCode.INTERRUPTED)
    if as_json:
        show_json({"image": what.name, "folder": str(where)})
    else:
        tell(f"Built. Bring it into the farm: qvd image import {what.name} {where}")


async def _built(recipe: Recipe, folder: Path) -> Path:
    await builder.build(recipe, folder, each_once(lambda line: typer.echo(line, err=True)))
    return folder
