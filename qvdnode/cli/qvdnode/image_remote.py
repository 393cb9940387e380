"""`qvdnode image remote`, `push`, `fetch`, `pull`: commits in registries and in folders."""

import sys
from collections.abc import Awaitable, Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated, Any, Final, TypeVar

import typer

from qvdnode.cli.answer_tables import Column, JsonFlag, show_json, show_rows, tell
from qvdnode.cli.config_file import ConfigFile
from qvdnode.cli.examples import examples
from qvdnode.cli.exit_codes import ExitCode
from qvdnode.cli.plain_values import size
from qvdnode.cli.qvdnode.image_store import LocalStore, progress_bar, who
from qvdnode.client.signals import run_to_signal
from qvdnode.host import disk_space
from qvdnode.image.core.commit import SHORT
from qvdnode.image.core.refs import Ref
from qvdnode.image.core.revision import parse_branch, parse_ref
from qvdnode.image.remote.exchange import Arrived, Exchange
from qvdnode.image.remote.exchange import opened as opened_place
from qvdnode.image.remote.remotes import Remote, Remotes
from qvdnode.model.errors import Invalid
from qvdnode.model.plurals import counted
from qvdnode.runtime.clock import SystemClock

remote_app = typer.Typer(
    help="The registries and folders that commits go to and come from.", no_args_is_help=True
)
COLUMNS: Final = (Column("NAME", "name"), Column("URL", "url"), Column("USER", "user"))
PASSWORD_MAX: Final = 65_536
FOLDER: Final = "oci:"
T = TypeVar("T")

RemoteName = Annotated[str, typer.Argument(metavar="REMOTE", help="Name of the remote.")]
AsImage = Annotated[
    str | None,
    typer.Option("--as", metavar="NAME", help="The image's name at the remote, if it has another."),
]


@remote_app.command(
    epilog=examples(
        "qvdnode image remote add origin docker://registry.example/desktops"
        " --user ana --password-file secret",
        "qvdnode image remote add share oci:/srv/images",
        "qvdnode image remote add lab docker://10.0.0.5:5000/lab --plain-http",
    )
)
def add(  # noqa: PLR0913 - one parameter is one option
    name: Annotated[str, typer.Argument(help="A name of your choice, such as origin.")],
    url: Annotated[
        str, typer.Argument(help="docker://HOST[:PORT]/PATH of a registry, or oci:PATH, a folder.")
    ],
    *,
    user: Annotated[str, typer.Option(help="Login name at the registry.")] = "",
    password_file: Annotated[
        Path | None,
        typer.Option("--password-file", help="File with the password or token; - is stdin."),
    ] = None,
    ca: Annotated[
        Path | None,
        typer.Option("--ca", help="PEM file of the authority to trust in place of the system's."),
    ] = None,
    plain_http: Annotated[
        bool,
        typer.Option("--plain-http", help="Speak without encryption: for a test in a safe net."),
    ] = False,
    config: ConfigFile = None,
    as_json: JsonFlag = False,
) -> None:
    """Add a remote. Each image is a repository below its path, or a folder in it."""
    if bool(user) != (password_file is not None):
        raise Invalid("A login has both: --user and --password-file.")
    if url.startswith(FOLDER):  # from where the command is run; the node has another such place
        url = f"{FOLDER}{Path(url.removeprefix(FOLDER)).absolute()}"
    remote = Remote(
        name, url, user, _password(password_file), str(ca.absolute()) if ca else "", plain_http
    )
    Remotes(LocalStore(config).store.places.root).add(remote)
    if as_json:
        show_json(_row(remote))
    else:
        tell(f"The remote {name} is {remote.address.text}.")


@remote_app.command("list", epilog=examples("qvdnode image remote list"))
def list_command(*, config: ConfigFile = None, as_json: JsonFlag = False) -> None:
    """List the remotes of this node."""
    remotes = Remotes(LocalStore(config).store.places.root)
    show_rows([_row(one) for one in remotes.all()], COLUMNS, json=as_json)


@remote_app.command(epilog=examples("qvdnode image remote remove origin"))
def remove(name: RemoteName, *, config: ConfigFile = None, as_json: JsonFlag = False) -> None:
    """Forget a remote; what came from it stays."""
    Remotes(LocalStore(config).store.places.root).remove(name)
    tell(f"The remote {name} is forgotten.", json=as_json)


def push_command(
    remote: RemoteName,
    ref: Annotated[
        str, typer.Argument(metavar="IMAGE[/BRANCH]", help="What to send; IMAGE:TAG too.")
    ],
    *,
    name_there: AsImage = None,
    force: Annotated[
        bool,
        typer.Option("--force", "-f", help="Also if that leaves commits of the remote behind."),
    ] = False,
    config: ConfigFile = None,
    as_json: JsonFlag = False,
) -> None:
    """Send a branch or a tag to a remote: what that lacks of it, and deltas between its commits."""
    wanted = parse_ref(ref)

    async def work(exchange: Exchange) -> dict[str, Any]:
        return asdict(await exchange.push(wanted, force=force))

    made = _exchanged(config, remote, name_there or wanted.image, f"pushing {wanted.short}", work)
    if as_json:
        show_json({"ref": wanted.short, "remote": remote, **made})
    else:
        commits = counted(made["commits"], "commit")
        tell(
            f"{wanted.short} is at {made['commit'][:SHORT]} on {remote}: {commits} and"
            f" {size(made['sent_bytes'])} were sent."
        )


def fetch_command(
    remote: RemoteName,
    ref: Annotated[
        str,
        typer.Argument(
            metavar="IMAGE[/BRANCH]", help="All branches of an image, one of them, or IMAGE:TAG."
        ),
    ],
    *,
    name_there: AsImage = None,
    config: ConfigFile = None,
    as_json: JsonFlag = False,
) -> None:
    """Bring what a remote has of an image, as branches IMAGE/REMOTE.BRANCH; yours stay."""
    wanted = parse_ref(ref)
    only = wanted if wanted.tag or "/" in ref else None

    async def work(exchange: Exchange) -> list[Arrived]:
        return await exchange.fetch(remote, wanted.image, only, who())

    found = _exchanged(config, remote, name_there or wanted.image, f"fetching {ref}", work)
    if as_json:
        show_json([_arrived_row(one) for one in found])
    for one in [] if as_json else found:
        _tell_arrived(one)


def pull_command(  # noqa: PLR0913 - one parameter is one option
    remote: RemoteName,
    branch: Annotated[
        str, typer.Argument(metavar="IMAGE[/BRANCH]", help="The branch to bring up to date.")
    ],
    *,
    name_there: AsImage = None,
    from_branch: Annotated[
        str | None,
        typer.Option("--from", metavar="BRANCH", help="The remote's branch, if another one."),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", "-f", help="Also if that leaves commits of yours behind.")
    ] = False,
    config: ConfigFile = None,
    as_json: JsonFlag = False,
) -> None:
    """Bring a remote's branch, and move yours forward to it; the remote may know it only.

    Of a commit that is near one that is here, only a delta comes.
    """
    ref = parse_branch(branch)
    there = replace(ref, name=from_branch or ref.name)

    async def work(exchange: Exchange) -> Arrived:
        return await exchange.pull(remote, ref, Ref(there.image, there.name), who(), force=force)

    found = _exchanged(config, remote, name_there or ref.image, f"pulling {ref.short}", work)
    if as_json:
        show_json(_arrived_row(found))
    else:
        _tell_arrived(found)


def _exchanged(
    config: Path | None,
    remote: str,
    image: str,
    title: str,
    work: Callable[[Exchange], Awaitable[T]],
) -> T:
    local = LocalStore(config)
    found = Remotes(local.store.places.root).get(remote)
    floor = local.settings.free_floor_mib

    def room() -> int:
        return (disk_space.free_mib(local.store.places.root) - floor) << 20

    async def run() -> T:
        async with opened_place(found, image, SystemClock()) as place:
            return await work(Exchange(local.store, local.branches, place, room, advance))

    with progress_bar(title) as advance:
        made = run_to_signal(run())
    if made is None:
        raise typer.Exit(ExitCode.INTERRUPTED)
    return made


def _password(file: Path | None) -> str:
    if file is None:
        return ""
    try:
        raw = sys.stdin.buffer.read(PASSWORD_MAX) if str(file) == "-" else file.read_bytes()
        return raw[:PASSWORD_MAX].decode().strip("\r\n")
    except OSError as error:
        raise Invalid(f"{file} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise Invalid(f"{file} is no text: it must hold the password alone") from error


def _row(remote: Remote) -> dict[str, Any]:
    """A remote as a row; never with its password."""
    return {
        "name": remote.name,
        "url": remote.address.text,
        "user": remote.user,
        "ca_file": remote.ca_file,
        "plain_http": remote.plain_http,
    }


def _arrived_row(one: Arrived) -> dict[str, Any]:
    return {"ref": one.ref, "old": one.old, **asdict(one.pulled)}


def _tell_arrived(one: Arrived) -> None:
    pulled = one.pulled
    if one.old == pulled.commit:
        tell(f"{one.ref} is at {pulled.commit[:SHORT]}, as before.")
        return
    by = f", {pulled.deltas} by a delta" if pulled.deltas else ""
    tell(
        f"{one.ref} is at {pulled.commit[:SHORT]} now: {counted(pulled.commits, 'commit')}"
        f" came{by}, {size(pulled.received_bytes)} in all."
    )


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(remote_app, name="remote")
    app.command(
        "push",
        epilog=examples(
            "qvdnode image push origin office", "qvdnode image push origin office/test --json"
        ),
    )(push_command)
    app.command(
        "fetch",
        epilog=examples(
            "qvdnode image fetch origin office", "qvdnode image fetch origin office:good"
        ),
    )(fetch_command)
    app.command(
        "pull",
        epilog=examples(
            "qvdnode image pull origin office", "qvdnode image pull share office/test --from main"
        ),
    )(pull_command)
