"""The `qvdnode` command: what runs on a host of the farm."""

import typer

from qvdnode.cli import (
    backup_commands,
    demo_command,
    doctor_command,
    init_command,
    purge_command,
    serve_command,
)

app = typer.Typer(
    name="qvdnode",
    help="A node of a Linux virtual desktop farm.",
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,
)
app.command("serve")(serve_command.serve_command)
app.command("init")(init_command.init_command)
app.command("demo")(demo_command.demo_command)
app.command("doctor")(doctor_command.doctor_command)
app.command("backup")(backup_commands.backup_command)
app.command("restore")(backup_commands.restore_command)
app.command("purge")(purge_command.purge_command)


def main() -> None:
    """Run the command line and exit with its code."""
    app()
