"""`qvd image log`, `diff`, `status`: the history of images on the node that answers."""

from typing import Annotated, Final

import typer

from qvdnode.cli.answer_tables import JsonFlag, show_fields, show_json, show_rows, tell
from qvdnode.cli.api_client import image_path
from qvdnode.cli.examples import examples
from qvdnode.cli.image_columns import LOG_COLUMNS, PACKAGE_COLUMNS
from qvdnode.cli.number_options import whole
from qvdnode.cli.plain_values import size
from qvdnode.cli.qvd.api_session import with_api
from qvdnode.model.errors import Invalid
from qvdnode.wire.plain_text import printable

SHORT: Final = 12
Image = Annotated[str, typer.Argument(help="Name of the image.")]


def log_command(
    image: Image,
    *,
    revision: Annotated[
        str, typer.Option(metavar="REV", help="Begin there: a version, a branch, a commit.")
    ] = "",
    limit: Annotated[
        int, typer.Option("-n", "--limit", parser=whole(1), metavar="N", help="At most N commits.")
    ] = 100,
    as_json: JsonFlag = False,
) -> None:
    """Show the commits of an image, newest first, as the node that answers has them."""
    query = {"revision": revision, "limit": limit}
    rows = with_api(lambda api: api.get(image_path(image) + "/log", **query))["items"]
    if not as_json:
        rows = [{**row, "short": row["commit"][:SHORT]} for row in rows]
    show_rows(rows, LOG_COLUMNS, json=as_json)


def diff_command(  # noqa: PLR0913 - one parameter is one option
    image: Image,
    old: Annotated[
        str,
        typer.Argument(
            metavar="[OLD]", help="A version or commit; the one before NEW if left out."
        ),
    ] = "",
    new: Annotated[
        str, typer.Argument(metavar="[NEW]", help="A version or commit; the newest if left out.")
    ] = "",
    *,
    stat: Annotated[bool, typer.Option("--stat", help="Only numbers.")] = False,
    packages: Annotated[
        bool, typer.Option("--packages", help="Debian packages instead of paths.")
    ] = False,
    limit: Annotated[
        int, typer.Option(parser=whole(1), metavar="N", help="At most N paths.")
    ] = 1_000,
    as_json: JsonFlag = False,
) -> None:
    """Show what differs between two versions of an image: paths with what of them, or packages.

    A is added, D deleted, M modified, T of another type.
    """
    if stat and packages:
        raise Invalid("--stat counts paths: give it or --packages, not both.")
    query = {"old": old, "new": new, "limit": limit}
    found = with_api(lambda api: api.get(image_path(image) + "/diff", **query))
    if as_json:
        show_json(found)
        return
    if packages:
        show_rows(found["packages"], PACKAGE_COLUMNS, json=False)
        return
    if not stat:
        for path in found["paths"]:
            aspects = ",".join(path["aspects"])
            typer.echo(printable(f"{path['change']} {aspects:<8} {path['path']}"))
    changed = found["added"] + found["modified"] + found["deleted"]
    sign = "+" if found["grown_bytes"] >= 0 else "-"
    tell(
        f"{changed} paths changed: {found['added']} added, {found['modified']} modified,"
        f" {found['deleted']} deleted; {sign}{size(abs(found['grown_bytes']))};"
        f" {len(found['packages'])} packages changed"
    )


def status_command(*, as_json: JsonFlag = False) -> None:
    """Show how the node that answers mounts images, and what its store of them takes."""
    show_fields(with_api(lambda api: api.get("/node/images")), json=as_json)


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("log", epilog=examples("qvd image log icewm", "qvd image log icewm -n 5 --json"))(
        log_command
    )
    app.command(
        "diff",
        epilog=examples(
            "qvd image diff icewm --packages",
            "qvd image diff icewm 1 3 --stat",
        ),
    )(diff_command)
    app.command("status", epilog=examples("qvd image status"))(status_command)
