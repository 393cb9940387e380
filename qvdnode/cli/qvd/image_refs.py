"""`qvd image commit`, `branch`, `tag`, `reflog`, `rollback`: the farm's branches of an image."""

from pathlib import Path
from typing import Annotated, Final

import typer

from qvdnode.cli.answer_tables import Column, JsonFlag, show_fields, show_json, show_rows, tell
from qvdnode.cli.api_answers import Json
from qvdnode.cli.api_client import ApiClient, image_path
from qvdnode.cli.examples import examples
from qvdnode.cli.name_lookup import vm_id
from qvdnode.cli.qvd.api_session import with_api
from qvdnode.cli.qvd.image_sending import sent
from qvdnode.image.core.refs import MAIN
from qvdnode.image.core.revision import parse_branch
from qvdnode.model.errors import Invalid

SHORT: Final = 12
REF_COLUMNS: Final = (Column("NAME", "name"), Column("COMMIT", "short"))
MOVE_COLUMNS: Final = (
    Column("REV", "rev"),
    Column("COMMIT", "short"),
    Column("MOVED", "moved_at"),
    Column("WHO", "who"),
    Column("WHY", "why", wraps=True),
)
Image = Annotated[str, typer.Argument(help="Name of the image.")]
Branch = Annotated[str, typer.Argument(metavar="IMAGE[/BRANCH]", help="The branch; main at first.")]
NewName = Annotated[str, typer.Argument(metavar="[NAME]", help="Without it, all are listed.")]
Start = Annotated[
    str, typer.Option("--revision", metavar="REV", help="Where it leads to; the branch main.")
]
DeleteFlag = Annotated[bool, typer.Option("-d", "--delete", help="Delete it.")]


def commit_command(
    branch: Branch,
    path: Annotated[
        Path | None, typer.Argument(help="A folder, a tar, oci:FOLDER or docker-archive:FILE.")
    ] = None,
    *,
    vm: Annotated[
        str, typer.Option("--vm", metavar="VM", help="Instead: what a running desktop has changed.")
    ] = "",
    note: Annotated[str, typer.Option("-m", "--message", "--note", help="Why.")] = "",
    add_session: Annotated[
        bool, typer.Option("--add-session", help="Put the node's session script in.")
    ] = False,
    as_json: JsonFlag = False,
) -> None:
    """Make a version on a branch, of a root file system or of what a running desktop has changed.

    Desktops go on starting with what they did: `qvd image switch` lets them start with it.
    """
    ref = parse_branch(branch)
    if (path is None) == (not vm):
        raise Invalid("Say what to commit: a folder or a tar, or a desktop with --vm.")
    if path is not None:
        options = {"note": note, "branch": ref.name, "head": False, "add_session": add_session}
        version = sent(ref.image, str(path), options)
    else:

        async def work(api: ApiClient) -> Json:
            body = {"vm_id": await vm_id(api, vm), "branch": ref.name, "note": note}
            return await api.call(
                "POST", image_path(ref.image) + "/commits", body, query={"wait": True}
            )

        version = with_api(work)
    if as_json:
        show_json(version)
        return
    tell(
        f"{ref.short} is at {(version['commit'] or '')[:SHORT]} now, version {version['version']}."
        f" Let desktops start with it: qvd image switch {ref.image} {version['version']}"
    )


def branch_command(
    image: Image,
    name: NewName = "",
    *,
    revision: Start = "",
    move: Annotated[bool, typer.Option("--move", help="Move one that exists.")] = False,
    delete: DeleteFlag = False,
    as_json: JsonFlag = False,
) -> None:
    """List the branches of an image, or make, move or delete one."""
    if not name:
        _list(image, tags=False, as_json=as_json)
    elif delete:
        _delete(image, name, tag=False, as_json=as_json)
    else:
        body = {"name": name, "tag": False, "revision": revision, "move": move}
        _make(image, body, as_json=as_json)


def tag_command(
    image: Image,
    name: NewName = "",
    *,
    revision: Start = "",
    delete: DeleteFlag = False,
    as_json: JsonFlag = False,
) -> None:
    """List the tags of an image, or make or delete one; a tag never moves."""
    if not name:
        _list(image, tags=True, as_json=as_json)
    elif delete:
        _delete(image, name, tag=True, as_json=as_json)
    else:
        _make(image, {"name": name, "tag": True, "revision": revision}, as_json=as_json)


def reflog_command(
    image: Image,
    name: Annotated[str, typer.Option("--name", help="The branch, or with --tag the tag.")] = MAIN,
    *,
    tag: Annotated[bool, typer.Option("--tag", help="Of a tag.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """Show where a branch was, newest first; `rollback` goes back to any of these."""
    path = image_path(image) + "/refs/log"
    rows = with_api(lambda api: api.get(path, name=name, tag=tag))["items"]
    if not as_json:
        rows = [
            {**row, "rev": f"{name}@{{{number}}}", "short": (row["new"] or "")[:SHORT]}
            for number, row in enumerate(rows)
        ]
    show_rows(rows, MOVE_COLUMNS, json=as_json)


def rollback_command(
    branch: Branch,
    *,
    to: Annotated[
        str, typer.Option("--to", metavar="REV", help="Where to; where it was before.")
    ] = "",
    as_json: JsonFlag = False,
) -> None:
    """Move a branch back, and with it what desktops start from, if that was the branch.

    No data moves, and the log keeps where it was: a rollback can be rolled back.
    """
    ref = parse_branch(branch)
    body = {"branch": ref.name, "to": to}
    path = image_path(ref.image) + "/rollback"
    show_fields(with_api(lambda api: api.call("POST", path, body)), json=as_json)


def _list(image: str, *, tags: bool, as_json: bool) -> None:
    rows = with_api(lambda api: api.get(image_path(image) + "/refs"))["items"]
    rows = [row for row in rows if row["tag"] == tags]
    if not as_json:
        rows = [{**row, "short": row["commit"][:SHORT]} for row in rows]
    show_rows(rows, REF_COLUMNS, json=as_json)


def _make(image: str, body: Json, *, as_json: bool) -> None:
    made = with_api(lambda api: api.call("PUT", image_path(image) + "/refs", body))
    if as_json:
        show_json(made)
    else:
        tell(f"{made['name']} is at {made['commit'][:SHORT]}.")


def _delete(image: str, name: str, *, tag: bool, as_json: bool) -> None:
    query = {"name": name, "tag": tag}
    path = image_path(image) + "/refs"
    with_api(lambda api: api.call("DELETE", path, query=query))
    tell(f"{name} is deleted.", json=as_json)


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    app.command(
        "commit",
        epilog=examples(
            "qvd image commit icewm/test ./rootfs -m 'with a printer'",
            "qvd image commit icewm/test --vm ana/desk -m 'what ana installed'",
        ),
    )(commit_command)
    app.command(
        "branch",
        epilog=examples("qvd image branch icewm", "qvd image branch icewm test --revision 3"),
    )(branch_command)
    app.command(
        "tag", epilog=examples("qvd image tag icewm", "qvd image tag icewm good --revision 3")
    )(tag_command)
    app.command("reflog", epilog=examples("qvd image reflog icewm"))(reflog_command)
    app.command(
        "rollback",
        epilog=examples("qvd image rollback icewm", "qvd image rollback icewm --to 3"),
    )(rollback_command)
