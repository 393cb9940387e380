"""`qvd flavour`: kinds of desktops."""

from typing import Annotated, Any, Final

import typer

from qvdnode.cli import name_lookup
from qvdnode.cli.answer_tables import (
    Column,
    JsonFlag,
    LimitOption,
    SearchOption,
    SortOption,
    show_fields,
    show_rows,
    tell,
)
from qvdnode.cli.api_answers import Json
from qvdnode.cli.api_client import ApiClient
from qvdnode.cli.examples import examples
from qvdnode.cli.number_options import whole
from qvdnode.cli.qvd.api_session import with_api
from qvdnode.cli.qvd.asking import YesFlag, ask_first
from qvdnode.cli.qvd.field_options import takes
from qvdnode.model.errors import Invalid

app = typer.Typer(help="Flavours: kinds of desktops.", no_args_is_help=True)

COLUMNS: Final = (
    Column("ID", "id"),
    Column("NAME", "name"),
    Column("TENANT", "tenant"),
    Column("IMAGE", "image"),
    Column("MEMORY", "memory_mib"),
    Column("CPU", "cpu_pct"),
    Column("DISK", "disk_mib", spare=True),
    Column("HOME", "home_mib", spare=True),
    Column("APPLICATION", "application", wraps=True),
)
Flavour = Annotated[str, typer.Argument(help="NAME, NAME@TENANT or number of the flavour.")]
Name = Annotated[str | None, typer.Option(help="Another name.")]
Image = Annotated[str | None, typer.Option(help="Name of the image.")]
FIELDS: Final[dict[str, Any]] = {
    "driver": Annotated[
        str | None, typer.Option(help="What runs the desktops; `qvd node list` shows the drivers.")
    ],
    "memory_mib": Annotated[
        int | None, typer.Option(parser=whole(64), metavar="N", help="Memory of a desktop, MiB.")
    ],
    "cpu_pct": Annotated[
        int | None, typer.Option(parser=whole(5), metavar="N", help="100 is one core.")
    ],
    "pids_max": Annotated[
        int | None, typer.Option(parser=whole(32), metavar="N", help="Most processes of a desktop.")
    ],
    "disk_mib": Annotated[
        int | None, typer.Option(parser=whole(64), metavar="N", help="Space outside home, MiB.")
    ],
    "home_mib": Annotated[
        int | None, typer.Option(parser=whole(64), metavar="N", help="Space of a user's home, MiB.")
    ],
    "application": Annotated[
        str | None, typer.Option(help="Show this one program; an empty text for a desktop.")
    ],
    "shell": Annotated[str | None, typer.Option(help="The user's shell, such as /bin/bash.")],
    "locale": Annotated[
        str | None, typer.Option(help="Language of a desktop, such as es_ES.UTF-8.")
    ],
    "timezone": Annotated[str | None, typer.Option(help="Such as Europe/Madrid.")],
    "hibernate_after_s": Annotated[
        int | None,
        typer.Option(
            parser=whole(0),
            metavar="S",
            help="Seconds without a user until it may hibernate; 0: never.",
        ),
    ],
    "egress": Annotated[
        bool | None, typer.Option("--egress/--no-egress", help="May desktops reach the world?")
    ],
    "idle_minutes": Annotated[
        int | None,
        typer.Option(
            parser=whole(0),
            metavar="N",
            help="Disconnect after so many minutes without a key or the pointer; 0 for never.",
        ),
    ],
    "nesting": Annotated[
        bool | None,
        typer.Option(
            "--nesting/--no-nesting",
            help="May bubblewrap and flatpak make sandboxes? The price is in docs/security.md.",
        ),
    ],
    "takeover": Annotated[
        str | None,
        typer.Option(
            metavar="WHEN",
            help="When a desktop of a node that was lost starts on another one with the same homes:"
            " never, at_connect or at_once.",
        ),
    ],
    "overlay": Annotated[
        str | None,
        typer.Option(
            metavar="WHAT",
            help="What becomes of changes outside of the home: fresh (thrown away at each stop) or"
            " keep (they stay, and move to new versions of the image).",
        ),
    ],
    "clipboard": Annotated[
        str | None,
        typer.Option(
            metavar="WAY", help="Which way the clipboard works: both, in, out (of it) or none."
        ),
    ],
    "files": Annotated[
        str | None,
        typer.Option(
            metavar="WAY",
            help="Which way files go between homes and browsers: both, in, out or none.",
        ),
    ],
}
"""Fields of a flavour, as REST names them."""


@app.command("list", epilog=examples("qvd flavour list", "qvd flavour list --tenant acme --json"))
def list_flavours(
    *,
    tenant: Annotated[str | None, typer.Option(help="Only of this tenant.")] = None,
    name: Annotated[str | None, typer.Option(help="Only of this name.")] = None,
    q: SearchOption = None,
    sort: SortOption = None,
    limit: LimitOption = None,
    as_json: JsonFlag = False,
) -> None:
    """List flavours."""

    async def rows(api: ApiClient) -> list[Json]:
        number = None if tenant is None else await name_lookup.tenant_id(api, tenant)
        return await api.items(
            "/flavours", limit=limit, q=q, sort=sort, tenant_id=number, name=name
        )

    show_rows(with_api(rows), COLUMNS, json=as_json)


@app.command(
    epilog=examples(
        "qvd flavour create office --image icewm --memory-mib 512",
        "qvd flavour create oficina --image icewm --locale es_ES.UTF-8 --timezone Europe/Madrid",
        "qvd flavour create shop@acme --image icewm --application 'xterm -e top' --no-egress",
    )
)
@takes(FIELDS)
def create(
    flavour: Flavour,
    *,
    image: Annotated[str, typer.Option(help="Name of the image.")],
    given: dict[str, Any],
    as_json: JsonFlag = False,
) -> None:
    """Make a flavour."""
    what = name_lookup.split_tenant(flavour)

    async def work(api: ApiClient) -> Json:
        tenant = await name_lookup.tenant_id(api, what.tenant)
        body = {"tenant_id": tenant, "name": what.name, "image": image, **_body(given)}
        return await api.call("POST", "/flavours", body)

    show_fields(with_api(work), json=as_json)


@app.command(
    epilog=examples(
        "qvd flavour change office --memory-mib 1024 --cpu-pct 200",
        "qvd flavour change shop@acme --application '' --egress",
    )
)
@takes({"name": Name, "image": Image, **FIELDS})
def change(flavour: Flavour, *, given: dict[str, Any], as_json: JsonFlag = False) -> None:
    """Change a flavour; running desktops take it at their next start."""
    if not given:
        raise Invalid("Say what to change: see `qvd flavour change --help`.")
    body = _body(given)
    show_fields(with_api(lambda api: _call(api, "PATCH", flavour, body)), json=as_json)


@app.command(epilog=examples("qvd flavour show office@acme"))
def show(flavour: Flavour, *, as_json: JsonFlag = False) -> None:
    """Show a flavour."""
    show_fields(with_api(lambda api: _call(api, "GET", flavour)), json=as_json)


@app.command(epilog=examples("qvd flavour delete office@acme"))
def delete(flavour: Flavour, *, yes: YesFlag = False, as_json: JsonFlag = False) -> None:
    """Delete a flavour that no VM is of."""
    ask_first(f"Delete flavour {flavour}?", yes=yes)
    with_api(lambda api: _call(api, "DELETE", flavour))
    tell(f"Flavour {flavour} is deleted.", json=as_json)


def _body(given: dict[str, Any]) -> dict[str, Any]:
    """The fields as REST takes them: no application means a desktop."""
    if "application" in given:
        return {**given, "application": given["application"] or None}
    return given


async def _call(
    api: ApiClient, method: str, flavour: str, body: dict[str, Any] | None = None
) -> Json:
    number = await name_lookup.flavour_id(api, flavour)
    return await api.call(method, f"/flavours/{number}", body)
