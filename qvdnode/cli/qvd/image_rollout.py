"""`qvd image rollout`: a new version in stages; a breach of the limits undoes it."""

from typing import Annotated, Any, Final

import typer

from qvdnode.cli.answer_tables import Column, JsonFlag, show_json, show_rows, tell
from qvdnode.cli.api_answers import Json
from qvdnode.cli.api_client import ApiClient, image_path
from qvdnode.cli.durations import seconds
from qvdnode.cli.examples import examples
from qvdnode.cli.number_options import whole
from qvdnode.cli.plain_values import cell
from qvdnode.cli.qvd.api_session import with_api
from qvdnode.model.plurals import counted

app = typer.Typer(help="A new version in stages.", no_args_is_help=True)

PLACES: Final = (
    Column("ID", "id"),
    Column("VM", "name"),
    Column("USER", "user"),
    Column("NODE", "node"),
    Column("STATE", "state"),
    Column("VERSION", "version"),
    Column("NEXT", "next_version"),
)
STAGES: Final = (Column("STAGE", "selector"), Column("SOAK", "soak_s"), Column("STATE", "state"))
Image = Annotated[str, typer.Argument(help="Name of the image.")]
Reason = Annotated[str, typer.Option("-m", "--reason", help="Why, for those who look later.")]


def _time(name: str, text: str) -> Any:  # noqa: ANN401 - typer's option
    return typer.Option(name, parser=seconds, metavar="TIME", help=text)


def _share(name: str, text: str) -> Any:  # noqa: ANN401 - typer's option
    return typer.Option(name, parser=whole(0, 100), metavar="PCT", help=text)


@app.command(
    epilog=examples(
        "qvd image rollout start office 5",
        "qvd image rollout start office 5 --stages tag:pilot=1h,10%=4h,100%=1d --soft-s 8h",
        "qvd image rollout start office 5 --stages user:ana@acme=30m,host:node3=2h,100%",
    )
)
def start(  # noqa: PLR0913 - one parameter is one option
    image: Image,
    version: Annotated[
        int, typer.Argument(parser=whole(1), metavar="VERSION", help="The version to roll out.")
    ],
    *,
    stages: Annotated[
        str,
        typer.Option(
            metavar="STAGE,...",
            help="Stages as SELECTOR=SOAK: 5%, user:LOGIN@TENANT, tag:TAG or host:NODE, and how"
            " long each is watched. The last one must be 100%.",
        ),
    ] = "5%=1h,25%=4h,100%=1d",
    starts_min: Annotated[
        int,
        typer.Option(parser=whole(0), metavar="N", help="Sound starts before a next stage begins."),
    ] = 1,
    failures_max_pct: Annotated[int, _share("--failures-max-pct", "Starts that may fail.")] = 20,
    crashes_max_pct: Annotated[
        int, _share("--crashes-max-pct", "Desktops that may end by an error.")
    ] = 20,
    ready_max_s: Annotated[
        int, _time("--ready-max-s", "Time in which 95 % of the starts are ready; 0 for any.")
    ] = 0,
    soft_s: Annotated[
        int,
        _time("--soft-s", "Stop desktops on the other version after it once nobody uses them."),
    ] = 0,
    hard_s: Annotated[int, _time("--hard-s", "The same for desktops in use; 0 for never.")] = 0,
    as_json: JsonFlag = False,
) -> None:
    """Roll a version out in stages; at a breach of the limits all desktops move back."""
    body = {
        "version": version,
        "stages": [_stage(text) for text in stages.split(",")],
        "starts_min": starts_min,
        "failures_max_pct": failures_max_pct,
        "crashes_max_pct": crashes_max_pct,
        "ready_max_s": ready_max_s,
        "soft_s": soft_s,
        "hard_s": hard_s,
    }
    _show(with_api(lambda api: api.call("POST", _path(image), body)), json=as_json)


@app.command(
    epilog=examples("qvd image rollout status office", "qvd image rollout status office --json")
)
def status(
    image: Image,
    *,
    limit: Annotated[
        int, typer.Option(parser=whole(0), metavar="N", help="List at most N desktops.")
    ] = 100,
    as_json: JsonFlag = False,
) -> None:
    """Show how a rollout goes, and which desktop is on which version."""
    found = with_api(lambda api: api.get(_path(image), limit=limit))
    _show(found, json=as_json)
    if not as_json and found["places"]:
        show_rows(found["places"], PLACES, json=False)


@app.command(epilog=examples("qvd image rollout pause office -m 'exams until Friday'"))
def pause(image: Image, *, reason: Reason = "", as_json: JsonFlag = False) -> None:
    """Begin no further stage; desktops that have the new version keep it."""
    _act(image, "pause", reason, json=as_json)


@app.command(epilog=examples("qvd image rollout resume office"))
def resume(image: Image, *, reason: Reason = "", as_json: JsonFlag = False) -> None:
    """Let a rollout go on; one that moved back begins again with its first stage."""
    _act(image, "resume", reason, json=as_json)


@app.command(epilog=examples("qvd image rollout abort office -m 'the printer driver is broken'"))
def abort(image: Image, *, reason: Reason = "", as_json: JsonFlag = False) -> None:
    """Give a rollout up: all desktops start with the old version again."""
    _act(image, "abort", reason, json=as_json)


def _act(image: str, verb: str, reason: str, *, json: bool) -> None:
    async def work(api: ApiClient) -> Json:
        return await api.call("POST", f"{_path(image)}/{verb}", {"reason": reason})

    _show(with_api(work), json=json)


def _path(image: str) -> str:
    return image_path(image) + "/rollout"


def _stage(text: str) -> dict[str, object]:
    selector, _, soak = text.strip().partition("=")
    return {"selector": selector, "soak_s": seconds(soak or 0)}


def _show(found: dict[str, Any], *, json: bool) -> None:
    if json:
        show_json(found)
        return
    state = found["state"].replace("_", " ")
    tell(
        f"{found['image']} from version {found['from_version']} to {found['to_version']}: {state}"
        f" since {cell(found['moved_at'], 'moved_at')} ({found['reason']})."
    )
    if found["waits_for"]:
        tell(f"It waits for {found['waits_for']}.")
    ready = found["ready_p95_s"]
    slow = "" if ready is None else f", 95 % in {ready:.1f} s"
    tell(
        f"{counted(found['starts'], 'start')} with the new version: {found['sound']} sound{slow},"
        f" {found['failed']} failed; {found['crashed']} crashed later."
    )
    tell(
        f"{found['covered']} of {counted(found['desktops'], 'desktop')} start with it;"
        f" {found['on_new']} run on it, {found['on_old']} on another version."
    )
    show_rows(found["stages"], STAGES, json=False)
