"""The `qvd` command: administration of a farm over REST, and desktops for users."""

from qvdnode.cli.program import program
from qvdnode.cli.qvd import (
    audit,
    connect,
    events,
    flavour,
    home,
    image,
    login,
    node,
    search,
    session,
    tenant,
    token,
    user,
    vm,
    web,
)

app = program("qvd", "Linux desktops: administer a farm, or connect to your desktop.")
app.command("connect", epilog=connect.CONNECT_EXAMPLES)(connect.connect)
app.command("ls", epilog=connect.LS_EXAMPLES)(connect.ls)
app.command("login", epilog=login.LOGIN_EXAMPLES)(login.login)
app.command("events", epilog=events.EXAMPLES)(events.events)
app.command("search", epilog=search.EXAMPLES)(search.search)
app.command("logout", epilog=login.LOGOUT_EXAMPLES)(login.logout)
for name, part in (
    ("tenant", tenant),
    ("user", user),
    ("flavour", flavour),
    ("image", image),
    ("vm", vm),
    ("home", home),
    ("session", session),
    ("node", node),
    ("audit", audit),
    ("token", token),
    ("web", web),
):
    app.add_typer(part.app, name=name)


def main() -> None:
    """Run the command line and exit with its code."""
    app()
