"""The options of `qvdnode doctor`, and how its findings are shown."""

import asyncio
import json
import os
from dataclasses import asdict
from typing import Annotated, Final

import typer
from rich.console import Console
from rich.markup import escape

from qvdnode.cli.config_file import ConfigFile, chosen, told
from qvdnode.cli.doctor.examine import examine
from qvdnode.cli.doctor.finding import Finding, Level, ok
from qvdnode.cli.examples import examples
from qvdnode.cli.exit_codes import ExitCode
from qvdnode.daemon.load import load
from qvdnode.runtime.clock import SystemClock

EXAMPLES: Final = examples("qvdnode doctor", "qvdnode doctor --config ./node.toml --json")
COLOURS: Final = {Level.OK: "green", Level.WARNING: "yellow", Level.ERROR: "red"}


def doctor_command(
    *,
    config: ConfigFile = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON array.")] = False,
) -> None:
    """Check whether this host can run desktops, and say how to fix what it finds."""
    file = chosen(config)
    settings = load(file, os.environ)
    findings = [
        ok("configuration", told(file)),
        *asyncio.run(examine(settings, SystemClock())),
    ]
    if as_json:
        typer.echo(json.dumps([asdict(finding) for finding in findings], indent=2))
    else:
        show(findings)
    if any(finding.level is Level.ERROR for finding in findings):
        raise typer.Exit(ExitCode.FAILED)


def show(findings: list[Finding]) -> None:
    """Print findings for people, one a line, and how to fix each below it."""
    console = Console(highlight=False)
    for finding in findings:
        mark = f"[{COLOURS[finding.level]}]{finding.level:<8}[/]"
        console.print(f"{mark}{finding.subject:<18} {escape(finding.text)}", soft_wrap=True)
        if finding.fix:
            console.print(f"{'':27}[dim]{escape(finding.fix)}[/dim]", soft_wrap=True)
