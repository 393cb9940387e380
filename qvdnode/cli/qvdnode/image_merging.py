"""`qvdnode image merge`, `revert`, `grep`, `blame`: between commits, and in them."""

import os
from enum import StrEnum
from typing import Annotated

import typer

from qvdnode.cli.answer_tables import JsonFlag, show_fields, show_json, tell
from qvdnode.cli.config_file import ConfigFile
from qvdnode.cli.examples import examples
from qvdnode.cli.exit_codes import ExitCode
from qvdnode.cli.qvdnode.image_store import LocalStore, entry_row, opened, progress_bar, who
from qvdnode.image.core.commit import SHORT
from qvdnode.image.core.manifest import escape
from qvdnode.image.core.revision import parse_branch
from qvdnode.image.store.merging import MergeResult, MergeWish, Merging
from qvdnode.image.store.searching import Match, Searching
from qvdnode.wire.plain_text import printable

BranchArgument = Annotated[
    str, typer.Argument(metavar="IMAGE[/BRANCH]", help="The branch that gets a commit.")
]


class Side(StrEnum):
    """Whose change is taken."""

    OURS = "ours"
    THEIRS = "theirs"


TakeOption = Annotated[
    Side | None,
    typer.Option(
        "-X", "--take", help="Where both changed a path: take the branch's or the other's."
    ),
]
MessageOption = Annotated[str, typer.Option("-m", "--message", help="Why.")]
SearchedRevision = Annotated[
    str, typer.Argument(metavar="REV", help="IMAGE, IMAGE/BRANCH, IMAGE:TAG or a commit.")
]


def merge_command(
    branch: BranchArgument,
    revision: Annotated[str, typer.Argument(metavar="REV", help="What to bring in.")],
    *,
    message: MessageOption = "",
    take: TakeOption = None,
    config: ConfigFile = None,
    as_json: JsonFlag = False,
) -> None:
    """Bring the changes of another branch or commit into a branch.

    Three ways, by path and attribute, by the rules of desktops that keep their changes: package
    databases are merged by package, accounts by account, text in /etc by lines. It stops and
    changes nothing where both sides changed a path otherwise.
    """
    wish = MergeWish(who(), message, take or "")
    local = opened(config)
    made = _merging(local).merge(parse_branch(branch), revision, wish)
    _show(branch, made, as_json=as_json)


def revert_command(
    branch: BranchArgument,
    revision: Annotated[
        str | None,
        typer.Argument(metavar="[REV]", help="The commit to undo; the newest if left out."),
    ] = None,
    *,
    message: MessageOption = "",
    take: TakeOption = None,
    config: ConfigFile = None,
    as_json: JsonFlag = False,
) -> None:
    """Undo what one commit changed, by a new commit; what came after it stays.

    `rollback` moves the branch back instead.
    """
    wish = MergeWish(who(), message, take or "")
    local = opened(config)
    made = _merging(local).revert(parse_branch(branch), revision or branch, wish)
    _show(branch, made, as_json=as_json)


def grep_command(
    pattern: Annotated[str, typer.Argument(help="A regular expression of Python.")],
    revision: SearchedRevision,
    path: Annotated[
        str,
        typer.Argument(metavar="[PATH]", help="Read only this file, or what is in this folder."),
    ] = "/",
    *,
    names: Annotated[
        bool, typer.Option("--names", help="Search the names of paths, not their content.")
    ] = False,
    config: ConfigFile = None,
    as_json: JsonFlag = False,
) -> None:
    """Find text in the files of a commit, or paths by their name.

    Exits with 1 if nothing is found, as grep does.
    """
    local = opened(config)
    search = Searching(local.store, local.branches, local.history)
    if names:
        below = _absolute(path).rstrip(b"/") + b"/"
        found = [m for m in search.paths(revision, pattern) if m.path.startswith(below)]
    else:
        with progress_bar("searching") as advance:
            found = list(search.lines(revision, pattern, _absolute(path), advance))
    if as_json:
        show_json([_match_row(match) for match in found])
    else:
        for match in found:
            typer.echo(_match_line(match))
    if not found:
        raise typer.Exit(ExitCode.FAILED)


def blame_command(
    revision: SearchedRevision,
    path: Annotated[str, typer.Argument(help="A path in the image.")],
    *,
    config: ConfigFile = None,
    as_json: JsonFlag = False,
) -> None:
    """Show the commit that last changed a path."""
    local = opened(config)
    search = Searching(local.store, local.branches, local.history)
    show_fields(entry_row(search.blame(revision, _absolute(path))), json=as_json)


def _merging(local: LocalStore) -> Merging:
    return Merging(local.store, local.branches, local.settings.free_floor_mib)


def _show(branch: str, made: MergeResult, *, as_json: bool) -> None:
    settled = [{"path": escape(one.path), "why": one.why} for one in made.contested]
    if as_json:
        show_json({"branch": branch, "commit": made.commit, "kind": made.kind, "settled": settled})
        return
    for one in settled:
        typer.echo(f"{one['path']}: {one['why']}")
    if made.kind == "nothing":
        tell(f"Nothing to do: {branch} has that already.")
    else:
        tell(f"{branch} is at {made.commit[:SHORT]} now.")


def _absolute(path: str) -> bytes:
    raw = os.fsencode(path)
    return raw if raw.startswith(b"/") else b"/" + raw


def _match_row(match: Match) -> dict[str, object]:
    text = match.text.decode("utf-8", errors="replace")
    return {"path": escape(match.path), "line": match.line or None, "text": text}


def _match_line(match: Match) -> str:
    if not match.line:
        return escape(match.path)
    text = printable(match.text.decode("utf-8", errors="replace"))
    return f"{escape(match.path)}:{match.line}:{text}"


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    app.command(
        "merge",
        epilog=examples(
            "qvdnode image merge icewm icewm/test -m 'the printer'",
            "qvdnode image merge icewm icewm/test -X theirs",
        ),
    )(merge_command)
    app.command(
        "revert",
        epilog=examples("qvdnode image revert icewm", "qvdnode image revert icewm/test icewm:3"),
    )(revert_command)
    app.command(
        "grep",
        epilog=examples(
            "qvdnode image grep 'deb .*security' icewm /etc/apt",
            "qvdnode image grep '[.]desktop$' icewm:3 --names",
        ),
    )(grep_command)
    app.command("blame", epilog=examples("qvdnode image blame icewm /etc/passwd"))(blame_command)
