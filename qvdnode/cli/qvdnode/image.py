"""`qvdnode image`: builds root file systems of desktops; image_*.py have the other commands."""

import os
from pathlib import Path
from typing import Annotated, Final

import typer

from qvdnode.cli.answer_tables import JsonFlag, show_json, tell
from qvdnode.cli.build_progress import each_once
from qvdnode.cli.config_file import ConfigFile
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
from qvdnode.cli.qvdnode.image_store import LocalStore, who
from qvdnode.client.signals import run_to_signal
from qvdnode.image import builder, recipes
from qvdnode.image.build_commit import BuildCommit
from qvdnode.image.core.commit import SHORT
from qvdnode.image.core.recipe import Recipe
from qvdnode.image.core.recipe_choice import Choice
from qvdnode.image.core.refs import Ref
from qvdnode.image.core.revision import parse_branch
from qvdnode.model.errors import Forbidden, Invalid

app = typer.Typer(help="Root file systems of desktops, and their history.", no_args_is_help=True)

BUILD_EXAMPLES: Final = examples(
    "qvdnode image build xfce",
    "qvdnode image build ./ours.toml --branch office/test -m 'with the new printer'",
    "qvdnode image build xfce /var/lib/xfce",
    "qvdnode image build mate /var/lib/oficina --add office --locale es_ES.UTF-8",
    "qvdnode image build xfce /var/lib/xfce --add kernel",
    "qvdnode image build ./ours.toml /var/lib/ours --suite trixie --json",
)


@app.command(epilog=BUILD_EXAMPLES)
def build(  # noqa: PLR0913 - one parameter is one option
    recipe: Annotated[str, typer.Argument(help=f"{', '.join(recipes.names())}, or a file.")],
    folder: Annotated[
        Path | None,
        typer.Argument(
            help="Where to, if not into the node's store as a commit; it must not exist yet."
        ),
    ] = None,
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
    branch: Annotated[
        str | None,
        typer.Option(
            metavar="IMAGE[/BRANCH]",
            help="The commit's branch; without it, of the image called like the recipe.",
        ),
    ] = None,
    message: Annotated[str, typer.Option("-m", "--message", help="Why, for the commit.")] = "",
    config: ConfigFile = None,
    as_json: JsonFlag = False,
) -> None:
    """Build a desktop's root file system from the host's own package sources, as root.

    Takes some minutes; docs/desktops.md has the time and size of each. It is a commit after the
    newest of its branch, or goes into a folder, which `qvd image import` brings into a farm.
    """
    choice = Choice(suite, tuple(add or ()), tuple(locale or ()))
    what = recipes.asked_for(recipe, choice)
    if os.geteuid() != 0:
        raise Forbidden("The files of an image have owners of its own: build it as root.")
    if folder is None:
        _commit(what, parse_branch(branch or what.name), message, config, as_json=as_json)
        return
    if branch is not None or message:
        raise Invalid("--branch and --message are for a commit: leave FOLDER out.")
    where = folder.absolute()
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
    await builder.build(recipe, folder, each_once(_on_stderr))
    return folder


def _commit(
    recipe: Recipe, branch: Ref, message: str, config: Path | None, *, as_json: bool
) -> None:
    local = LocalStore(config)
    work = BuildCommit(local.store, local.branches, local.settings.free_floor_mib)
    made = run_to_signal(work.build(recipe, branch, message, who(), each_once(_on_stderr)))
    if made is None:
        raise typer.Exit(ExitCode.INTERRUPTED)
    if as_json:
        show_json(
            {"image": recipe.name, "suite": recipe.suite, "branch": branch.short, "commit": made}
        )
    else:
        tell(f"Built. {branch.short} is at {made[:SHORT]} now.")


def _on_stderr(line: str) -> None:
    typer.echo(line, err=True)
