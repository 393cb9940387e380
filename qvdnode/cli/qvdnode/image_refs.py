"""`qvdnode image branch`, `tag`, `commit`, `rollback`, `checkout`: names, and what they lead to."""

import re
from functools import partial
from pathlib import Path
from typing import Annotated, Final

import typer

from qvdnode.cli.answer_tables import Column, JsonFlag, show_fields, show_json, show_rows, tell
from qvdnode.cli.config_file import ConfigFile
from qvdnode.cli.examples import examples
from qvdnode.cli.number_options import whole
from qvdnode.cli.qvdnode.image_store import LocalStore, opened, progress_bar, who
from qvdnode.host.trusted_path import PathUse, require
from qvdnode.image.core.commit import SHORT
from qvdnode.image.core.refs import Ref
from qvdnode.image.core.revision import parse_branch, parse_tag
from qvdnode.image.desktop_commit import DesktopCommit
from qvdnode.image.store.folder_commit import FolderCommit
from qvdnode.image.store.mounting import VIEW
from qvdnode.model.errors import Invalid, NotFound

REF_COLUMNS: Final = (
    Column("NAME", "name"),
    Column("COMMIT", "short"),
    Column("MADE", "made_at"),
    Column("MESSAGE", "message", wraps=True),
)
CHECKOUT_COLUMNS: Final = (
    Column("NAME", "name"),
    Column("COMMIT", "short"),
    Column("FOLDER", "folder"),
)
NewName = Annotated[
    str | None, typer.Argument(metavar="[NAME]", help="Without it, all are listed.")
]
Start = Annotated[
    str | None,
    typer.Argument(metavar="[REV]", help="Where it points to; the branch main if left out."),
]
DeleteFlag = Annotated[bool, typer.Option("-d", "--delete", help="Delete it.")]


def branch_command(
    name: NewName = None,
    revision: Start = None,
    *,
    delete: DeleteFlag = False,
    config: ConfigFile = None,
    as_json: JsonFlag = False,
) -> None:
    """List branches, or make or delete one, as IMAGE/BRANCH."""
    if name is None:
        _list(opened(config), tags=False, as_json=as_json)
    else:
        _change(opened(config), parse_branch(name), revision, delete=delete, as_json=as_json)


def tag_command(
    name: NewName = None,
    revision: Start = None,
    *,
    delete: DeleteFlag = False,
    config: ConfigFile = None,
    as_json: JsonFlag = False,
) -> None:
    """List tags, or make or delete one, as IMAGE:TAG; a tag never moves.

    The tags that are numbers are the versions of an image, and the node's own.
    """
    if name is None:
        _list(opened(config), tags=True, as_json=as_json)
        return
    tag = parse_tag(name)
    if tag.name.isdecimal():
        raise Invalid(
            "Numbers are the versions of images, which imports make: choose a tag with a letter."
        )
    _change(opened(config), tag, revision, delete=delete, as_json=as_json)


def commit_command(
    branch: Annotated[str, typer.Argument(metavar="IMAGE[/BRANCH]", help="The branch to go on.")],
    folder: Annotated[
        Path | None, typer.Argument(help="A folder with a whole root file system.")
    ] = None,
    *,
    vm_id: Annotated[
        int | None,
        typer.Option(
            "--vm", parser=whole(1), metavar="ID", help="Instead: a desktop that runs on this node."
        ),
    ] = None,
    message: Annotated[str, typer.Option("-m", "--message", help="Why.")] = "",
    config: ConfigFile = None,
    as_json: JsonFlag = False,
) -> None:
    """Make a commit of a folder or of a desktop's changes, and move the branch to it.

    Only files that the store does not have are copied; the folder stays as it is. Of a desktop, all
    is kept but what belongs to it alone: names, keys, logs, caches, homes, the user's account.
    Desktops start with versions: `qvd image import` makes one of the folder of a checkout.
    """
    ref = parse_branch(branch)
    if (folder is None) == (vm_id is None):
        raise Invalid("Say what to commit: a folder, or a desktop with --vm.")
    if folder is not None:
        require(folder.absolute(), PathUse.OWN_FOLDER)
    local = LocalStore(config)
    with progress_bar(f"reading {folder or f'desktop {vm_id}'}") as advance:

        def step(done: int) -> None:
            advance(done, None)

        if folder is not None:
            work = FolderCommit(local.store, local.branches, local.settings.free_floor_mib)
            made = work.commit(folder.absolute(), ref, message, who(), step)
        else:
            desktop = DesktopCommit(local.versions, local.settings)
            made = desktop.commit(vm_id or 0, ref, message, who(), step)
    if as_json:
        show_json({"branch": ref.short, "commit": made})
    else:
        tell(f"{ref.short} is at {made[:SHORT]} now.")


def rollback_command(
    branch: Annotated[str, typer.Argument(metavar="IMAGE[/BRANCH]", help="The branch to move.")],
    to: Annotated[
        str | None,
        typer.Option("--to", metavar="REV", help="Where to; where it was before, if left out."),
    ] = None,
    *,
    config: ConfigFile = None,
    as_json: JsonFlag = False,
) -> None:
    """Move a branch back to where it was, or to any commit; no data moves.

    `qvd image head` chooses the version that desktops start with.
    """
    ref = parse_branch(branch)
    local = opened(config)
    old = local.branches.get(ref)
    if old is None:
        raise NotFound(f"There is no branch {ref.short}.")
    new = local.branches.resolve(to or f"{branch}@{{1}}")
    local.branches.move(ref, old=old, new=new, who=who(), why=f"rollback to {to or 'before'}")
    if as_json:
        show_json({"branch": ref.short, "old": old, "commit": new})
    else:
        tell(f"{ref.short} is at {new[:SHORT]} now, and was at {old[:SHORT]}.")


def checkout_command(
    revision: Annotated[
        str | None, typer.Argument(metavar="[REV]", help="Without it, all are listed.")
    ] = None,
    *,
    name: Annotated[
        str, typer.Option("--name", help="A name to end it by; one of REV if left out.")
    ] = "",
    end: Annotated[
        str, typer.Option("--end", metavar="NAME", help="Unmount the checkout of that name.")
    ] = "",
    config: ConfigFile = None,
    as_json: JsonFlag = False,
) -> None:
    """Mount a commit read-only, to look at it and to copy from it, until --end."""
    local = opened(config)
    if end:
        if end not in local.mounts.kept():
            raise NotFound(f"There is no checkout {end}; `qvdnode image checkout` lists them.")
        local.mounts.release(end)
        tell(f"The checkout {end} is unmounted.", json=as_json)
    elif revision is None:
        _list_checkouts(local, as_json=as_json)
    else:
        commit = local.branches.resolve(revision)
        wanted = name or re.sub(r"[^A-Za-z0-9.]+", "-", revision).strip("-")
        folder = local.mounts.keep(wanted, commit)
        row = {"name": wanted, "commit": commit, "folder": str(folder)}
        show_fields(row, json=as_json)


def _list(local: LocalStore, *, tags: bool, as_json: bool) -> None:
    rows = []
    for ref, name in sorted(local.branches.all().items(), key=lambda item: item[0].path):
        if ref.tag == tags:
            commit = local.store.commit(name)
            rows.append(
                {
                    "name": ref.short if tags or ref.name != "main" else f"{ref.image}/main",
                    "short": name[:SHORT],
                    "commit": name,
                    "made_at": commit.at.isoformat(),
                    "message": commit.message,
                }
            )
    show_rows(rows, REF_COLUMNS, json=as_json)


def _change(
    local: LocalStore, ref: Ref, revision: str | None, *, delete: bool, as_json: bool
) -> None:
    move = partial(local.branches.move, ref, who=who())
    if delete:
        old = local.branches.get(ref)
        if old is None:
            raise NotFound(f"There is no {ref.short}.")
        move(old=old, new=None, why="deleted")
        tell(f"{ref.short} is deleted; it was at {old[:SHORT]}.", json=as_json)
        return
    new = local.branches.resolve(revision or ref.image)
    move(old=None, new=new, why=f"made at {revision or ref.image}")
    if as_json:
        show_json({"name": ref.short, "commit": new})
    else:
        tell(f"{ref.short} is at {new[:SHORT]}.")


def _list_checkouts(local: LocalStore, *, as_json: bool) -> None:
    rows = [
        {
            "name": name,
            "short": commit[:SHORT],
            "commit": commit,
            "folder": str(local.mounts.path(commit)),
        }
        for name, commit in local.mounts.kept().items()
        if not name.startswith(VIEW)
    ]
    show_rows(rows, CHECKOUT_COLUMNS, json=as_json)


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    app.command(
        "branch",
        epilog=examples("qvdnode image branch", "qvdnode image branch icewm/test icewm:3"),
    )(branch_command)
    app.command("tag", epilog=examples("qvdnode image tag", "qvdnode image tag icewm:good"))(
        tag_command
    )
    app.command(
        "commit",
        epilog=examples(
            "qvdnode image commit icewm/test ./rootfs -m 'with a printer'",
            "qvdnode image commit icewm/test --vm 7 -m 'what ana installed'",
        ),
    )(commit_command)
    app.command(
        "rollback",
        epilog=examples(
            "qvdnode image rollback icewm/test", "qvdnode image rollback icewm --to icewm:3"
        ),
    )(rollback_command)
    app.command(
        "checkout",
        epilog=examples(
            "qvdnode image checkout icewm:3 --name look", "qvdnode image checkout --end look"
        ),
    )(checkout_command)
