"""`qvd connect` and `qvd ls`: what a user does with desktops; needs no administrator's login."""

import contextlib
import getpass
import os
import random
import sys
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Final, TypeVar

import typer
from rich.console import Console
from rich.markup import escape

from qvdnode.cli.answer_tables import Column, JsonFlag, show_rows, tell
from qvdnode.cli.examples import examples
from qvdnode.cli.exit_codes import ExitCode
from qvdnode.cli.node_address import parse_fingerprint
from qvdnode.cli.number_options import at_least
from qvdnode.cli.qvd.asking import confirmed
from qvdnode.cli.qvd.authority_option import CaFile
from qvdnode.cli.qvd.secret_input import asked, first_line
from qvdnode.client import connect as client
from qvdnode.client import pins
from qvdnode.client.connect import Account, Client, Wishes
from qvdnode.client.core.backoff import Backoff
from qvdnode.client.core.certificate_refusal import Untrusted
from qvdnode.client.nx_proxy import StreamEnd
from qvdnode.client.pins import PinStore
from qvdnode.client.servers import Server
from qvdnode.client.signals import run_to_signal
from qvdnode.client.target import Target, parse_target
from qvdnode.client.trust import ANY, Trust, authorities
from qvdnode.model.desktop import SessionEnd
from qvdnode.model.errors import GuestFailed, HostFailed, Invalid, Unavailable
from qvdnode.runtime.clock import SystemClock
from qvdnode.wire.plain_text import printable
from qvdnode.wire.qvd_params import GRAMMAR

T = TypeVar("T")

Host = Annotated[str, typer.Argument(help="The node: HOST or HOST:PORT (8443).")]
User = Annotated[
    str | None,
    typer.Option(
        "--user",
        "-u",
        help="Your login, such as alice or alice@acme; as on this machine if left out.",
    ),
]
Nodes = Annotated[
    list[str] | None,
    typer.Option(
        "--node",
        metavar="HOST",
        help="Another node of the same farm, for when the first does not answer; may be repeated.",
    ),
]
Pin = Annotated[str | None, typer.Option(help="The fingerprint that the certificate must have.")]
Insecure = Annotated[
    bool, typer.Option("--insecure", help="Take any certificate, this once. Not on real networks.")
]
PasswordFile = Annotated[
    Path | None,
    typer.Option(
        help="Read the password from this file's first line; - for stdin.", allow_dash=True
    ),
]
STDIN: Final = Path("-")

COLUMNS: Final = (
    Column("ID", "id"),
    Column("NAME", "name"),
    Column("STATE", "state"),
    Column("APPLICATION", "is_application"),
    Column("OFFLINE", "blocked"),
)
LS_EXAMPLES: Final = examples(
    "qvd ls desktops.example.org --user alice",
    "qvd ls desktops.example.org --user alice@acme --password-file - --json < FILE",
)
CONNECT_EXAMPLES: Final = examples(
    "qvd connect desktops.example.org --user alice",
    "qvd connect desktops.example.org --user alice --ca ./our-authority.pem",
    "qvd connect desk1.example.org --node desk2.example.org --user alice",
    "qvd connect 10.0.0.5:8443 --user alice@acme --vm desk --fullscreen",
    "qvd connect desktops.example.org --user alice --link adsl --geometry 1280x800",
)
SAID: Final = {
    StreamEnd.CLOSED: "The session ended: the desktop was stopped, left or opened from elsewhere.",
    StreamEnd.LEFT: "The window was closed; the desktop runs on.",
}

ELSEWHERE: Final = "The session ended: the desktop was opened from elsewhere."


def ls(  # noqa: PLR0913 - one parameter is one option
    host: Host,
    *,
    user: User = None,
    node: Nodes = None,
    pin: Pin = None,
    insecure: Insecure = False,
    ca: CaFile = None,
    password_file: PasswordFile = None,
    as_json: JsonFlag = False,
) -> None:
    """List your desktops."""

    account = _account([host, *(node or ())], user, Wanted(pin, insecure, ca), password_file)
    found = _run(client.desktops_at(account, SystemClock()))
    if found or as_json:
        show_rows([asdict(entry) for entry in found], COLUMNS, json=as_json)
    else:
        tell("You have no desktop here; ask your administrator for one.")


def connect(  # noqa: PLR0913 - one parameter is one option
    host: Host,
    *,
    user: User = None,
    node: Nodes = None,
    vm: Annotated[str | None, typer.Option(help="Name or number, if you have several.")] = None,
    display: Annotated[str | None, typer.Option(help="X display; $DISPLAY by default.")] = None,
    fullscreen: Annotated[
        bool, typer.Option("--fullscreen", "-f", help="Fill the whole screen.")
    ] = False,
    geometry: Annotated[str | None, typer.Option(help="WIDTHxHEIGHT; else by your screen.")] = None,
    keyboard: Annotated[
        str | None, typer.Option(help="Such as pc105/es or pc105/us/intl; else as it is.")
    ] = None,
    link: Annotated[
        str | None, typer.Option(help="modem, isdn, adsl, wan, lan or local; else measured.")
    ] = None,
    reconnect_for: Annotated[
        float,
        typer.Option(
            parser=at_least(0),
            metavar="SECONDS",
            help="How long to try again after a dropped link; 0 for never.",
        ),
    ] = 600.0,
    pin: Pin = None,
    insecure: Insecure = False,
    ca: CaFile = None,
    password_file: PasswordFile = None,
) -> None:
    """Show your desktop in a window. Closing the window leaves it running."""

    shown_on = display or os.environ.get("DISPLAY")
    if not shown_on:
        raise Invalid("There is no X display: set DISPLAY or give --display.")
    _refuse_odd({"geometry": geometry, "keyboard": keyboard, "link": link})
    wishes = Wishes(shown_on, vm, fullscreen, geometry, keyboard, link)
    account = _account([host, *(node or ())], user, Wanted(pin, insecure, ca), password_file)
    shown = Client(account, wishes, Line(), SystemClock(), random.Random())
    ending = run_to_signal(shown.run(Backoff(give_up_s=reconnect_for)))
    if ending is StreamEnd.DROPPED:
        raise Unavailable("The link dropped; the desktop runs on. Connect again to see it.")
    if ending is not None:
        _tell_end(ending, shown.end)
    elif not shown.has_shown:
        raise typer.Exit(ExitCode.INTERRUPTED)


def _tell_end(ending: StreamEnd, end: SessionEnd | None) -> None:
    """Say why the session ended; raises GuestFailed where nobody wanted that."""
    if end is None:
        tell(SAID[ending])
    elif end.failed:
        raise GuestFailed(printable(end.because), step="session")
    elif end.because:
        tell(f"The session ended. {printable(end.because)}")
    elif end.viewer:
        tell(ELSEWHERE)
    else:
        tell(SAID[StreamEnd.LEFT])


class Line:
    """Shows what the node says while one waits, on stderr."""

    def __call__(self, sentence: str) -> None:
        """One more line."""
        Console(stderr=True, highlight=False).print(f"[dim]{escape(printable(sentence))}[/dim]")


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the person says about the server's certificate."""

    pin: str | None
    insecure: bool
    ca: Path | None

    def __post_init__(self) -> None:
        """Refuse both at once."""
        if self.pin is not None and self.insecure:
            raise Invalid("--pin and --insecure contradict each other.", field="pin")


def _refuse_odd(options: Mapping[str, str | None]) -> None:
    """Raise Invalid for a wish that the node would pass over in silence."""
    for name, value in options.items():
        if value is not None and not GRAMMAR[name].fullmatch(value):
            raise Invalid(f"--{name} {value}: see `qvd connect --help` for what it takes.")


def _account(
    hosts: Sequence[str], user: str | None, wanted: Wanted, password_file: Path | None
) -> Account:
    """Settles the certificates before it asks for the password."""
    targets, login = [parse_target(host) for host in hosts], user or _local_login()
    first, *others = _trusted(targets, wanted)
    password = _password(login, first.target, password_file)
    return Account(first.target, first.trust, login, password, tuple(others))


def _trusted(targets: Sequence[Target], wanted: Wanted) -> list[Server]:
    """By what to recognise each server; those that are new and do not answer are left out.

    Raises as `_settled`, Unavailable when none is left.
    """
    found, away = list[Server](), list[Unavailable]()
    for target in targets:
        try:
            found.append(Server(target, _settled(target, wanted)))
        except Unavailable as error:
            away.append(error)
    if not found:
        raise away[0]
    for problem in away:
        Line()(f"{problem} Going on without it.")
    return found


def _local_login() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError) as error:
        raise Invalid("Say who you are with --user.", field="user") from error


def _settled(target: Target, wanted: Wanted) -> Trust:
    """By what to recognise the server. Raises Forbidden, Invalid, Unavailable."""
    if wanted.insecure:
        return ANY
    store, clock = PinStore(pins.default_path(os.environ, Path.home())), SystemClock()
    if wanted.pin is not None:
        pin = parse_fingerprint(wanted.pin)
        _run(client.fingerprint_at(target, clock, Trust(pin)))
        store.put(target, pin)
        return Trust(pin)
    vouched = Trust(authorities=authorities(wanted.ca))
    known = store.get(target)
    if known not in (None, pins.AUTHORITY):
        return replace(vouched, pin=known)
    try:
        _run(client.fingerprint_at(target, clock, vouched))
    except Untrusted as refusal:
        if known is not None:
            raise pins.fallen_back(target, refusal) from refusal
        if not refusal.self_signed:
            raise
        return Trust(_first_pin(store, target))
    if known is None:
        with contextlib.suppress(HostFailed):  # what is not remembered is found out again
            store.put(target, pins.AUTHORITY)
    return vouched


def _first_pin(store: PinStore, target: Target) -> str:
    seen = _run(client.fingerprint_at(target, SystemClock()))
    if not sys.stdin.isatty():
        raise Invalid(
            f"{target} is new here and nobody can confirm its certificate: add --pin {seen} "
            "if that is the node's.",
            field="pin",
        )
    return pins.first_pin(store, target, seen, confirmed)


def _password(user: str, target: Target, file: Path | None) -> str:
    if file is None:
        return asked(f"Password of {user} at {target}", instead="--password-file -")
    if file == STDIN:
        return first_line()
    try:
        return file.read_text(encoding="utf-8").splitlines()[0]
    except (OSError, IndexError, ValueError) as error:
        raise Invalid(f"There is no password in {file}.") from error


def _run(work: Coroutine[Any, Any, T]) -> T:
    result = run_to_signal(work)
    if result is None:
        raise typer.Exit(ExitCode.INTERRUPTED)
    return result
