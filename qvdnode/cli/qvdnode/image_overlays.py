"""`qvdnode image rebase`: what desktops keep outside of their homes, on another version."""

import asyncio
from typing import Annotated, Any, Final

import typer

from qvdnode.cli.answer_tables import Column, JsonFlag, show_json, show_rows, tell
from qvdnode.cli.config_file import ConfigFile
from qvdnode.cli.examples import examples
from qvdnode.cli.exit_codes import ExitCode
from qvdnode.cli.number_options import whole
from qvdnode.cli.qvdnode.image_store import Advance, LocalStore, opened, progress_bar
from qvdnode.image.core.commit import SHORT
from qvdnode.image.core.manifest import escape
from qvdnode.image.core.rebase import Decision
from qvdnode.image.kept.access import lent
from qvdnode.image.kept.disks import Report
from qvdnode.image.layout import Layout
from qvdnode.model.errors import FarmError, Invalid
from qvdnode.model.ids import VmId
from qvdnode.model.plurals import counted
from qvdnode.wire.plain_text import printable

COLUMNS: Final = (
    Column("VM", "vm"),
    Column("FROM", "from"),
    Column("TO", "to"),
    Column("CLEAN", "clean"),
    Column("LOOK", "looks"),
    Column("PROBLEM", "problem", wraps=True),
)


def rebase_command(  # noqa: PLR0913 - one parameter is one option
    revision: Annotated[
        str, typer.Argument(metavar="[REV]", help="The version to move to, such as office:5.")
    ] = "",
    *,
    vm: Annotated[
        int | None,
        typer.Option(parser=whole(1), metavar="ID", help="Only this VM, by its number."),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only tell what would be done, also for what runs.")
    ] = False,
    undo: Annotated[
        bool,
        typer.Option("--undo", help="Undo the last rebase of --vm, which then stays where it is."),
    ] = False,
    follow: Annotated[
        bool, typer.Option("--follow", help="Let --vm move with its image again, after an undo.")
    ] = False,
    reset: Annotated[
        bool, typer.Option("--reset", help="Throw all that --vm has kept away.")
    ] = False,
    config: ConfigFile = None,
    as_json: JsonFlag = False,
) -> None:
    """Move what stopped desktops of this node keep (overlay: keep) to another version.

    A start does this by itself; --dry-run tells before a rollout what it will do. Exits with 1 when
    one cannot be moved.
    """
    local = opened(config)
    if sum((undo, follow, reset)) > 1 or (bool(revision) == (undo or follow or reset)):
        raise Invalid("Give REV, or one of --undo, --follow and --reset with --vm.")
    if not revision:
        if vm is None:
            raise Invalid("Say which with --vm.")
        _one(local, VmId(vm), undo=undo, follow=follow, as_json=as_json)
        return
    commit = local.branches.resolve(revision)
    vm_ids = sorted(local.versions.kept.all()) if vm is None else [VmId(vm)]
    with progress_bar("rebase") as advance:
        reports = asyncio.run(_all(local, vm_ids, commit, advance, dry_run=dry_run))
    _show(reports, as_json=as_json)
    if any(report.problem for report in reports):
        raise typer.Exit(ExitCode.FAILED)


async def _all(
    local: LocalStore, vm_ids: list[VmId], commit: str, advance: Advance, *, dry_run: bool
) -> list[Report]:
    reports = []
    for number, vm_id in enumerate(vm_ids):
        advance(number, len(vm_ids))
        reports.append(await _moved(local, vm_id, commit, dry_run=dry_run))
    return reports


async def _moved(local: LocalStore, vm_id: VmId, commit: str, *, dry_run: bool) -> Report:
    kept = local.versions.kept
    try:
        async with lent(_layout(local), vm_id, writable=not dry_run) as disk:
            work = kept.plan if dry_run else kept.move
            return await asyncio.to_thread(work, vm_id, commit, disk)
    except FarmError as error:
        base = kept.base(vm_id)
        return Report(vm_id, "" if base is None else base.commit, commit, problem=str(error))


def _one(local: LocalStore, vm_id: VmId, *, undo: bool, follow: bool, as_json: bool) -> None:
    kept = local.versions.kept
    if undo:
        commit = asyncio.run(_undone(local, vm_id))
        told = f"VM {vm_id} is on {commit[:SHORT]} again, and stays there until --follow."
    elif follow:
        kept.release(vm_id)
        told = f"VM {vm_id} moves with its image at its next start."
    else:
        asyncio.run(_emptied(local, vm_id))
        told = f"VM {vm_id} has nothing kept any more."
    tell(told, json=as_json)


async def _undone(local: LocalStore, vm_id: VmId) -> str:
    async with lent(_layout(local), vm_id, writable=True) as disk:
        return await asyncio.to_thread(local.versions.kept.undo, vm_id, disk)


async def _emptied(local: LocalStore, vm_id: VmId) -> None:
    async with lent(_layout(local), vm_id, writable=True):
        pass  # it exists, and does not run
    await asyncio.to_thread(local.versions.kept.remove, vm_id)


def _layout(local: LocalStore) -> Layout:
    return Layout(local.settings.state_dir)


def _show(reports: list[Report], *, as_json: bool) -> None:
    if as_json:
        show_json([_facts(report) for report in reports])
        return
    show_rows([_facts(report) for report in reports], COLUMNS, json=False)
    for report in reports:
        for made in report.looks:
            tell(printable(f"VM {report.vm_id}: {escape(made.path)}: {made.look}"))
    looks = sum(len(report.looks) for report in reports)
    clean = sum(len(report.decisions) for report in reports) - looks
    tell(f"{counted(len(reports), 'VM')}: {clean} paths clean, {looks} need a look.")


def _facts(report: Report) -> dict[str, Any]:
    return {
        "vm": report.vm_id,
        "from": report.old[:SHORT],
        "to": report.new[:SHORT],
        "clean": len(report.decisions) - len(report.looks),
        "looks": len(report.looks),
        "problem": report.problem or None,
        "actions": report.counts(),
        "paths": [_path(made) for made in report.decisions],
    }


def _path(made: Decision) -> dict[str, Any]:
    return {
        "path": escape(made.path),
        "class": str(made.rule),
        "action": made.action.value,
        "look": made.look or None,
    }


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command(
        "rebase",
        epilog=examples(
            "qvdnode image rebase office:5 --dry-run",
            "qvdnode image rebase office:5 --vm 7",
            "qvdnode image rebase --undo --vm 7",
        ),
    )(rebase_command)
