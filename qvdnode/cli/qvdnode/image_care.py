"""`qvdnode image status`, `gc`, `verify`: the state of a node's store of images."""

from dataclasses import asdict
from typing import Annotated, Any, Final

import typer

from qvdnode.cli.answer_tables import JsonFlag, show_fields, show_json, tell
from qvdnode.cli.config_file import ConfigFile
from qvdnode.cli.examples import examples
from qvdnode.cli.exit_codes import ExitCode
from qvdnode.cli.number_options import whole
from qvdnode.cli.plain_values import size
from qvdnode.cli.qvdnode.image_store import LocalStore, opened, progress_bar
from qvdnode.image.core.commit import SHORT
from qvdnode.image.store.collection import GRACE_S
from qvdnode.image.store.mounting import VIEW
from qvdnode.image.store.usage import usage
from qvdnode.image.store.verification import Finding, verify
from qvdnode.model.plurals import counted
from qvdnode.wire.plain_text import printable

PATHS_SHOWN: Final = 5


def status_command(*, config: ConfigFile = None, as_json: JsonFlag = False) -> None:
    """Show how images are mounted on this node, what uses them, and what the store takes."""
    local = LocalStore(config)
    capability = local.mounts.capability()
    used = usage(local.store)
    row: dict[str, Any] = {
        "folder": str(local.store.places.root),
        "mounts": capability.mode.value,
        "because": capability.because or None,
        "commits": used.commits,
        "objects": used.objects,
        "content_bytes": used.object_bytes,
        "metadata_bytes": used.metadata_bytes,
        "checkout_files_bytes": used.checkout_bytes,
        "quarantine_bytes": used.quarantine_bytes,
        "mounted": len(local.mounts.mounted()),
        "guests": len(local.versions.leases()),
        "checkouts": sorted(n for n in local.mounts.kept() if not n.startswith(VIEW)),
    }
    show_fields(row, json=as_json)


def gc_command(
    *,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only tell what would be removed.")
    ] = False,
    grace_s: Annotated[
        int,
        typer.Option(
            "--grace-s", parser=whole(0), metavar="S", help="Time in quarantine before deletion."
        ),
    ] = GRACE_S,
    config: ConfigFile = None,
    as_json: JsonFlag = False,
) -> None:
    """Remove what no branch, tag, version, desktop or checkout needs; the node may serve.

    The node does this by itself after a removal. What is removed is in quarantine first.
    """
    found = opened(config).versions.collect(grace_s=grace_s, dry_run=dry_run)
    if as_json:
        show_json({**asdict(found), "dry_run": dry_run})
        return
    verb = "would go into" if dry_run else "went into"
    tell(
        f"{counted(found.commits, 'commit')} {'would be ' if dry_run else ''}removed;"
        f" {counted(found.objects, 'object')} ({size(found.object_bytes)}) {verb} quarantine;"
        f" {counted(found.deleted, 'object')} ({size(found.deleted_bytes)}) deleted from it."
    )


def verify_command(
    *,
    quick: Annotated[
        bool, typer.Option("--quick", help="Only names and sizes of objects, not their content.")
    ] = False,
    config: ConfigFile = None,
    as_json: JsonFlag = False,
) -> None:
    """Check everything in the store, and name what is damaged, down to the paths in images.

    Exits with 1 when anything is. A damaged object is replaced by an import of an image that
    has it, once the damaged file is removed.
    """
    local = opened(config)
    with progress_bar("checking") as advance:
        found = verify(local.store, local.branches, quick=quick, progress=advance)
    if as_json:
        show_json(asdict(found))
    else:
        for finding in found.findings:
            _tell(local, finding)
        tell(
            f"{counted(found.commits, 'commit')} and {counted(found.objects, 'object')}"
            f" ({size(found.read_bytes)}) checked: "
            + (f"{counted(len(found.findings), 'finding')}." if found.findings else "all sound.")
        )
    if found.findings:
        raise typer.Exit(ExitCode.FAILED)


def _tell(local: LocalStore, finding: Finding) -> None:
    typer.echo(printable(f"{finding.what} {finding.name}: {finding.problem}"))
    refs = local.history.refs()
    for name in finding.commits:
        named = ", ".join(refs.get(name, [])) or "no branch or tag"
        typer.echo(f"  needed by {name[:SHORT]} ({printable(named)})")
    for path in finding.paths[:PATHS_SHOWN]:
        typer.echo(f"  {path}")
    more = len(finding.paths) - PATHS_SHOWN
    if more > 0:
        typer.echo(f"  and {counted(more, 'more path')}")


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("status", epilog=examples("qvdnode image status", "qvdnode image status --json"))(
        status_command
    )
    app.command("gc", epilog=examples("qvdnode image gc --dry-run", "qvdnode image gc"))(gc_command)
    app.command("verify", epilog=examples("qvdnode image verify", "qvdnode image verify --quick"))(
        verify_command
    )
