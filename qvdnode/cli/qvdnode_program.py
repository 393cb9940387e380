"""The `qvdnode` command: what runs on a host of the farm."""

import os
from typing import Final

import typer

from qvdnode.cli import (
    backup_commands,
    demo_command,
    doctor_command,
    image_command,
    init_command,
    purge_command,
    serve_command,
    version_option,
)
from qvdnode.cli.failure import TellingGroup

UMASK: Final = 0o022
"""Guests and helpers with accounts of their own read much of what root makes here. What is not for
them is made with its mode."""

app = typer.Typer(
    name="qvdnode",
    help="A node of a Linux virtual desktop farm.",
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,
    cls=TellingGroup,
)
app.callback()(version_option.program)
for name, command, epilog in (
    ("serve", serve_command.serve_command, serve_command.EXAMPLES),
    ("init", init_command.init_command, init_command.EXAMPLES),
    ("demo", demo_command.demo_command, demo_command.EXAMPLES),
    ("doctor", doctor_command.doctor_command, doctor_command.EXAMPLES),
    ("backup", backup_commands.backup_command, backup_commands.BACKUP_EXAMPLES),
    ("restore", backup_commands.restore_command, backup_commands.RESTORE_EXAMPLES),
    ("purge", purge_command.purge_command, purge_command.EXAMPLES),
):
    app.command(name, epilog=epilog)(command)
app.add_typer(image_command.app, name="image")


def main() -> None:
    """Run the command line and exit with its code."""
    os.umask(UMASK)
    app()
