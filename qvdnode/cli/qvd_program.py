"""The `qvd` command: administration of a farm over REST, and desktops for users."""

import typer

from qvdnode.cli import (
    connect_command,
    qvd_audit,
    qvd_flavour,
    qvd_image,
    qvd_login,
    qvd_node,
    qvd_session,
    qvd_tenant,
    qvd_token,
    qvd_user,
    qvd_vm,
    version_option,
)
from qvdnode.cli.failure import TellingGroup

app = typer.Typer(
    name="qvd",
    help="Linux desktops: administer a farm, or connect to your desktop.",
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,
    cls=TellingGroup,
)
app.callback()(version_option.program)
app.command("connect", epilog=connect_command.CONNECT_EXAMPLES)(connect_command.connect)
app.command("ls", epilog=connect_command.LS_EXAMPLES)(connect_command.ls)
app.command("login", epilog=qvd_login.LOGIN_EXAMPLES)(qvd_login.login)
app.command("logout", epilog=qvd_login.LOGOUT_EXAMPLES)(qvd_login.logout)
for name, part in (
    ("tenant", qvd_tenant),
    ("user", qvd_user),
    ("flavour", qvd_flavour),
    ("image", qvd_image),
    ("vm", qvd_vm),
    ("session", qvd_session),
    ("node", qvd_node),
    ("audit", qvd_audit),
    ("token", qvd_token),
):
    app.add_typer(part.app, name=name)


def main() -> None:
    """Run the command line and exit with its code."""
    app()
