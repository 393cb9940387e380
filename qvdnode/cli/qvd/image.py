"""`qvd image`: root file systems and their versions."""

from typing import Annotated, Final

import typer

from qvdnode.cli.answer_tables import (
    Column,
    JsonFlag,
    LimitOption,
    SearchOption,
    SortOption,
    show_fields,
    show_json,
    show_rows,
    tell,
)
from qvdnode.cli.api_answers import Json
from qvdnode.cli.api_client import ApiClient, image_path
from qvdnode.cli.examples import examples
from qvdnode.cli.qvd import image_export, image_history, image_refs, image_rollout
from qvdnode.cli.qvd.api_session import with_api
from qvdnode.cli.qvd.asking import YesFlag, ask_first
from qvdnode.cli.qvd.image_sending import sent

app = typer.Typer(help="Images: root file systems and their versions.", no_args_is_help=True)

SHORTEST: Final = 6
"""Digits of a commit that people write at least; a shorter number is a version."""
COLUMNS: Final = (
    Column("ID", "id"),
    Column("NAME", "name"),
    Column("HEAD", "head_version"),
    Column("SIZE", "size_bytes"),
    Column("SINCE", "created_at"),
)
VERSION_COLUMNS: Final = (
    Column("VERSION", "version"),
    Column("SIZE", "size_bytes"),
    Column("SINCE", "created_at"),
    Column("NOTE", "note", wraps=True),
)
Image = Annotated[str, typer.Argument(help="Name of the image.")]


@app.command("list", epilog=examples("qvd image list"))
def list_images(
    *,
    q: SearchOption = None,
    sort: SortOption = None,
    limit: LimitOption = None,
    as_json: JsonFlag = False,
) -> None:
    """List images."""
    show_rows(
        with_api(lambda api: api.items("/images", limit=limit, q=q, sort=sort)),
        COLUMNS,
        json=as_json,
    )


@app.command(epilog=examples("qvd image show icewm", "qvd image show icewm --json"))
def show(image: Image, *, as_json: JsonFlag = False) -> None:
    """Show an image and its versions."""

    async def work(api: ApiClient) -> tuple[Json, Json]:
        return await api.get(image_path(image)), await api.get(image_path(image) + "/versions")

    about, versions = with_api(work)
    if as_json:
        show_json({**about, "versions": versions["items"]})
        return
    show_fields(about, json=False)
    show_rows(versions["items"], VERSION_COLUMNS, json=False)


@app.command(
    "import",
    epilog=examples(
        "qvd image import icewm ./icewm.tar --note 'security updates of May'",
        "qvd image import icewm ./rootfs",
        "qvd image import debian ./debian-13.tar.zst --add-session",
        "qvd image import debian docker://registry.example/debian:13 --add-session",
        "qvd image import icewm oci:./icewm-oci",
    ),
)
def import_image(
    image: Image,
    source: Annotated[
        str,
        typer.Argument(
            metavar="SOURCE",
            help="A tar, a folder, oci:FOLDER[:TAG], docker-archive:FILE[:TAG] or docker://NAME.",
        ),
    ],
    *,
    note: Annotated[str, typer.Option(help="What to remember about this version.")] = "",
    add_session: Annotated[
        bool,
        typer.Option(
            "--add-session", help="Put the node's session script into a system that has none."
        ),
    ] = False,
    insecure: Annotated[
        bool, typer.Option("--insecure", help="From a registry without TLS.")
    ] = False,
    as_json: JsonFlag = False,
) -> None:
    """Bring a root file system in as a new version, with owners, xattrs and capabilities.

    Layers of an OCI image are put on top of each other without being unpacked here. Registries are
    read by skopeo, with its credentials.
    """
    options = {"note": note, "add_session": add_session}
    version = sent(image, source, options, tls=not insecure)
    if as_json:
        show_json(version)
    else:
        tell(f"Image {image} has version {version['version']} now; desktops start with it.")


def head(
    image: Image,
    revision: Annotated[
        str, typer.Argument(metavar="REV", help="A version's number, a branch, a tag or a commit.")
    ],
    *,
    as_json: JsonFlag = False,
) -> None:
    """Choose what desktops start with from now on; those that run keep what they have.

    A commit that is not a version yet becomes one.
    """
    body: Json = {"revision": revision}
    if revision.isdecimal() and len(revision) < SHORTEST:
        body = {"version": int(revision)}
    show_fields(
        with_api(lambda api: api.call("PUT", image_path(image) + "/head", body)), json=as_json
    )


app.command("head", epilog=examples("qvd image head icewm 3"))(head)
app.command("switch", epilog=examples("qvd image switch icewm test", "qvd image switch icewm 3"))(
    head
)


@app.command(epilog=examples("qvd image delete icewm"))
def delete(image: Image, *, yes: YesFlag = False, as_json: JsonFlag = False) -> None:
    """Delete an image that no flavour uses, with all its versions."""
    ask_first(f"Delete image {image} with all its versions?", yes=yes)
    with_api(lambda api: api.call("DELETE", image_path(image)))
    tell(f"Image {image} is deleted.", json=as_json)


image_refs.add_to(app)
image_export.add_to(app)
image_history.add_to(app)
app.add_typer(image_rollout.app, name="rollout")
