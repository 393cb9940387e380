"""`qvd flavour`: kinds of desktops."""

from typing import Annotated, Any, Final

import typer

from qvdnode.cli import name_lookup
from qvdnode.cli.answer_tables import (
    Column,
    JsonFlag,
    LimitOption,
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
Image = Annotated[str | None, typer.Option(help="Name of the image.")]
MemoryMib = Annotated[
    int | None, typer.Option(parser=whole(64), metavar="N", help="Memory of a desktop, MiB.")
]
CpuPct = Annotated[int | None, typer.Option(parser=whole(5), metavar="N", help="100 is one core.")]
PidsMax = Annotated[
    int | None, typer.Option(parser=whole(32), metavar="N", help="Most processes of a desktop.")
]
DiskMib = Annotated[
    int | None, typer.Option(parser=whole(64), metavar="N", help="Space outside home, MiB.")
]
HomeMib = Annotated[
    int | None, typer.Option(parser=whole(64), metavar="N", help="Space of a user's home, MiB.")
]
Application = Annotated[
    str | None, typer.Option(help="Show this one program; an empty text for a desktop.")
]
Shell = Annotated[str | None, typer.Option(help="The user's shell, such as /bin/bash.")]
Locale = Annotated[str | None, typer.Option(help="Language of a desktop, such as es_ES.UTF-8.")]
Timezone = Annotated[str | None, typer.Option(help="Such as Europe/Madrid.")]
Egress = Annotated[
    bool | None, typer.Option("--egress/--no-egress", help="May desktops reach the world?")
]


@app.command("list", epilog=examples("qvd flavour list", "qvd flavour list --tenant acme --json"))
def list_flavours(
    *,
    tenant: Annotated[str | None, typer.Option(help="Only of this tenant.")] = None,
    name: Annotated[str | None, typer.Option(help="Only of this name.")] = None,
    limit: LimitOption = None,
    as_json: JsonFlag = False,
) -> None:
    """List flavours."""

    async def rows(api: ApiClient) -> list[Json]:
        number = None if tenant is None else await name_lookup.tenant_id(api, tenant)
        return await api.items("/flavours", limit=limit, tenant_id=number, name=name)

    show_rows(with_api(rows), COLUMNS, json=as_json)


@app.command(
    epilog=examples(
        "qvd flavour create office --image icewm --memory-mib 512",
        "qvd flavour create oficina --image icewm --locale es_ES.UTF-8 --timezone Europe/Madrid",
        "qvd flavour create shop@acme --image icewm --application 'xterm -e top' --no-egress",
    )
)
def create(  # noqa: PLR0913 - one option per field of a flavour
    flavour: Flavour,
    *,
    image: Annotated[str, typer.Option(help="Name of the image.")],
    memory_mib: MemoryMib = None,
    cpu_pct: CpuPct = None,
    pids_max: PidsMax = None,
    disk_mib: DiskMib = None,
    home_mib: HomeMib = None,
    application: Application = None,
    shell: Shell = None,
    locale: Locale = None,
    timezone: Timezone = None,
    egress: Egress = None,
    as_json: JsonFlag = False,
) -> None:
    """Make a flavour."""
    what = name_lookup.split_tenant(flavour)
    given = _given(
        image=image,
        memory_mib=memory_mib,
        cpu_pct=cpu_pct,
        pids_max=pids_max,
        disk_mib=disk_mib,
        home_mib=home_mib,
        shell=shell,
        locale=locale,
        timezone=timezone,
        application=application or None,
        egress=egress,
    )

    async def work(api: ApiClient) -> Json:
        tenant = await name_lookup.tenant_id(api, what.tenant)
        body = {"tenant_id": tenant, "name": what.name, **given}
        return await api.call("POST", "/flavours", body)

    show_fields(with_api(work), json=as_json)


@app.command(
    epilog=examples(
        "qvd flavour change office --memory-mib 1024 --cpu-pct 200",
        "qvd flavour change shop@acme --application '' --egress",
    )
)
def change(  # noqa: PLR0913 - one option per field of a flavour
    flavour: Flavour,
    *,
    name: Annotated[str | None, typer.Option(help="Another name.")] = None,
    image: Image = None,
    memory_mib: MemoryMib = None,
    cpu_pct: CpuPct = None,
    pids_max: PidsMax = None,
    disk_mib: DiskMib = None,
    home_mib: HomeMib = None,
    application: Application = None,
    shell: Shell = None,
    locale: Locale = None,
    timezone: Timezone = None,
    egress: Egress = None,
    as_json: JsonFlag = False,
) -> None:
    """Change a flavour; running desktops take it at their next start."""
    body = _given(
        name=name,
        image=image,
        memory_mib=memory_mib,
        cpu_pct=cpu_pct,
        pids_max=pids_max,
        disk_mib=disk_mib,
        home_mib=home_mib,
        shell=shell,
        locale=locale,
        timezone=timezone,
        egress=egress,
    )
    if application is not None:
        body["application"] = application or None
    if not body:
        raise Invalid("Say what to change: see `qvd flavour change --help`.")
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


def _given(**options: object) -> dict[str, Any]:
    return {name: value for name, value in options.items() if value is not None}


async def _call(
    api: ApiClient, method: str, flavour: str, body: dict[str, Any] | None = None
) -> Json:
    number = await name_lookup.flavour_id(api, flavour)
    return await api.call(method, f"/flavours/{number}", body)
