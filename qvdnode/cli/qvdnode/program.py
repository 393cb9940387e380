"""The `qvdnode` command: what runs on a host of the farm."""

import os
from typing import Final

from qvdnode.cli.demo import command as demo_command
from qvdnode.cli.doctor import command as doctor_command
from qvdnode.cli.program import program
from qvdnode.cli.qvdnode import backup, database, image, init, join, plan, purge, serve

UMASK: Final = 0o022
"""Guests and helpers with accounts of their own read much of what root makes here. What is not for
them is made with its mode."""

app = program("qvdnode", "A node of a Linux virtual desktop farm.")
for name, command, epilog in (
    ("serve", serve.serve_command, serve.EXAMPLES),
    ("init", init.init_command, init.EXAMPLES),
    ("join", join.join_command, join.EXAMPLES),
    ("demo", demo_command.demo_command, demo_command.EXAMPLES),
    ("doctor", doctor_command.doctor_command, doctor_command.EXAMPLES),
    ("backup", backup.backup_command, backup.BACKUP_EXAMPLES),
    ("restore", backup.restore_command, backup.RESTORE_EXAMPLES),
    ("plan", plan.plan_command, plan.EXAMPLES),
    ("purge", purge.purge_command, purge.EXAMPLES),
):
    app.command(name, epilog=epilog)(command)
app.add_typer(database.app, name="database")
app.add_typer(image.app, name="image")


def main() -> None:
    """Run the command line and exit with its code."""
    os.umask(UMASK)
    app()
