"""`qvdnode image`: builds root file systems of desktops; image_*.py have the other commands."""

import os
from pathlib import Path
from typing import Annotated, Final

import typer

from qvdnode.cli.answer_tables import JsonFlag, show_json, tell
from qvdnode.cli.build_progress import each_once
from qvdnode.cli.examples import examples
from qvdnode.cli.exit_codes import ExitCode
from qvdnode.cli.qvdnode import (
    image_care,
    image_check,
    image_history,
    image_merging,
    image_overlays,
    image_refs,
    image_remote,
)
from qvdnode.client.signals import run_to_signal
from qvdnode.image import builder, recipes
from qvdnode.image.core.recipe import Recipe
from qvdnode.image.core.recipe_choice import Choice
from qvdnode.model.errors import Forbidden

app = typer.Typer(help="Root file systems of desktops, and their history.", no_args_is_help=True)

BUILD_EXAMPLES: Final = examples(
    "qvdnode image build xfce /var/lib/xfce",
    "qvdnode image build mate /var/lib/oficina --add office --locale es_ES.UTF-8",
    "qvdnode image build xfce /var/lib/xfce --add kernel",
    "qvdnode image build ./ours.toml /var/lib/ours --suite trixie --json",
)


@app.command(epilog=BUILD_EXAMPLES)
def build(
    recipe: Annotated[str, typer.Argument(help=f"{', '.join(recipes.names())}, or a file.")],
    folder: Annotated[Path, typer.Argument(help="Where to; it must not exist yet.")],
    *,
    suite: Annotated[str | None, typer.Option(help="Debian release, such as trixie.")] = None,
    add: Annotated[
        list[str] | None,
        typer.Option(help="A package, or a group of the recipe such as office; repeatable."),
    ] = None,
    locale: Annotated[
        list[str] | None,
        typer.Option(help="Languages instead of the recipe's; the first is the default."),
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Build a desktop's root file system from the host's own package sources, as root.

    Takes some minutes; docs/desktops.md has the time and size of each. `qvd image import` brings it
    into a farm.
    """
    choice = Choice(suite, tuple(add or ()), tuple(locale or ()))
    what, where = recipes.asked_for(recipe, choice), folder.absolute()
    if os.geteuid() != 0:
        raise Forbidden("The files of an image have owners of its own: build it as root.")
    if run_to_signal(_built(what, where)) is None:
        raise typer.Exit(ExitCode.INTERRUPTED)
    if as_json:
        show_json({"image": what.name, "suite": what.suite, "folder": str(where)})
    else:
        tell(f"Built. Bring it into the farm: qvd image import {what.name} {where}")


app.command("check", epilog=image_check.EXAMPLES)(image_check.check_command)
image_history.add_to(app)
image_refs.add_to(app)
image_care.add_to(app)
image_overlays.add_to(app)
image_merging.add_to(app)
image_remote.add_to(app)


async def _built(recipe: Recipe, folder: Path) -> Path:
    await builder.build(recipe, folder, each_once(lambda line: typer.echo(line, err=True)))
    return folder
