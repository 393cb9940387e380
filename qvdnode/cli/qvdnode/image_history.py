"""`qvdnode image log`, `show`, `diff`, `reflog`: what versions there were, and what changed."""

from datetime import UTC, datetime
from typing import Annotated, Any, Final

import typer

from qvdnode.cli.answer_tables import (
    Column,
    JsonFlag,
    show_fields,
    show_json,
    show_rows,
    tell,
)
from qvdnode.cli.config_file import ConfigFile
from qvdnode.cli.examples import examples
from qvdnode.cli.image_columns import LOG_COLUMNS, PACKAGE_COLUMNS
from qvdnode.cli.number_options import whole
from qvdnode.cli.plain_values import size
from qvdnode.cli.qvdnode.image_store import entry_row, opened
from qvdnode.image.core.commit import SHORT
from qvdnode.image.core.image_diff import PackageChange, PathChange, summary
from qvdnode.image.core.manifest import escape
from qvdnode.image.core.revision import parse_ref
from qvdnode.model.errors import Invalid
from qvdnode.model.plurals import counted

RevisionArgument = Annotated[
    str,
    typer.Argument(
        metavar="REV", help="IMAGE, IMAGE/BRANCH, IMAGE:TAG or a commit; REV~N is N before it."
    ),
]
REFLOG_COLUMNS: Final = (
    Column("REV", "rev"),
    Column("COMMIT", "short"),
    Column("MOVED", "moved_at"),
    Column("WHO", "who"),
    Column("WHY", "why", wraps=True),
)


def log_command(
    revision: RevisionArgument,
    *,
    limit: Annotated[
        int | None,
        typer.Option("-n", "--limit", parser=whole(1), metavar="N", help="At most N commits."),
    ] = None,
    config: ConfigFile = None,
    as_json: JsonFlag = False,
) -> None:
    """Show a commit and those before it, newest first."""
    rows = [entry_row(entry) for entry in opened(config).history.log(revision, limit)]
    _show_commits(rows, as_json=as_json)


def show_command(
    revision: RevisionArgument,
    *,
    config: ConfigFile = None,
    as_json: JsonFlag = False,
) -> None:
    """Show one commit, and how much it changed."""
    history = opened(config).history
    row = entry_row(history.entry(revision))
    old, new = history.pair(row["commit"], None)
    row["changes"] = summary(history.diff(old, new))
    row["packages_changed"] = len(history.package_diff(old, new))
    show_fields(row, json=as_json)


def diff_command(
    old: RevisionArgument,
    new: Annotated[
        str | None,
        typer.Argument(metavar="[REV]", help="Without it, REV is compared with the one before."),
    ] = None,
    *,
    stat: Annotated[bool, typer.Option("--stat", help="Only numbers.")] = False,
    packages: Annotated[
        bool, typer.Option("--packages", help="Debian packages instead of paths.")
    ] = False,
    config: ConfigFile = None,
    as_json: JsonFlag = False,
) -> None:
    """Show what differs between two commits: paths with what of them changed, or packages.

    A is added, D deleted, M modified, T of another type. Exits with 0 also if something differs.
    """
    if stat and packages:
        raise Invalid("--stat counts paths: give it or --packages, not both.")
    history = opened(config).history
    first, second = history.pair(old, new)
    if packages:
        rows = [_package_row(change) for change in history.package_diff(first, second)]
        show_rows(rows, PACKAGE_COLUMNS, json=as_json)
        return
    changes = history.diff(first, second)
    if stat:
        _show_summary(summary(changes), as_json=as_json)
    elif as_json:
        show_json([_path_row(change) for change in changes])
    else:
        for change in changes:
            aspects = ",".join(change.aspects)
            typer.echo(f"{change.change} {aspects:<8} {escape(change.path)}")


def reflog_command(
    ref: Annotated[str, typer.Argument(metavar="REF", help="IMAGE, IMAGE/BRANCH or IMAGE:TAG.")],
    *,
    config: ConfigFile = None,
    as_json: JsonFlag = False,
) -> None:
    """Show where a branch was, newest first; `rollback` goes back to any of these."""
    wanted = parse_ref(ref)
    rows = [
        {
            "rev": f"{wanted.short}@{{{number}}}",
            "short": None if move.new is None else move.new[:SHORT],
            "commit": move.new,
            "old": move.old,
            "moved_at": _moment(move.at),
            "who": move.who,
            "why": move.why,
        }
        for number, move in enumerate(opened(config).branches.moves(wanted))
    ]
    show_rows(rows, REFLOG_COLUMNS, json=as_json)


def _show_commits(rows: list[dict[str, Any]], *, as_json: bool) -> None:
    if not as_json:
        rows = [{**row, "short": row["commit"][:SHORT]} for row in rows]
    show_rows(rows, LOG_COLUMNS, json=as_json)


def _show_summary(counts: dict[str, int], *, as_json: bool) -> None:
    if as_json:
        show_json(counts)
        return
    paths = counts["added"] + counts["modified"] + counts["deleted"]
    sign = "+" if counts["grown_bytes"] >= 0 else "-"
    tell(
        f"{counted(paths, 'path')} changed: {counts['added']} added, {counts['modified']} modified,"
        f" {counts['deleted']} deleted; {sign}{size(abs(counts['grown_bytes']))}"
    )


def _path_row(change: PathChange) -> dict[str, Any]:
    return {
        "path": escape(change.path),
        "change": change.change.value,
        "aspects": list(change.aspects),
        "grown_bytes": change.grown_bytes,
    }


def _package_row(change: PackageChange) -> dict[str, Any]:
    return {"package": change.package, "old": change.old, "new": change.new}


def _moment(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat()


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    app.command(
        "log", epilog=examples("qvdnode image log icewm", "qvdnode image log icewm:3 -n 5")
    )(log_command)
    app.command("show", epilog=examples("qvdnode image show icewm"))(show_command)
    app.command(
        "diff",
        epilog=examples(
            "qvdnode image diff icewm --packages",
            "qvdnode image diff icewm:1 icewm:3 --stat",
            "qvdnode image diff icewm~2 icewm --json",
        ),
    )(diff_command)
    app.command("reflog", epilog=examples("qvdnode image reflog icewm"))(reflog_command)
