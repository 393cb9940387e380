"""`qvd connect` and `qvd ls`: what a user does with desktops; needs no administrator's login."""

import os
import random
import sys
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final, TypeVar

import typer
from rich.console import Console
from rich.markup import escape

from qvdnode.cli.answer_tables import tell
from qvdnode.cli.api_session import fail
from qvdnode.cli.node_address import parse_fingerprint
from qvdnode.cli.secret_input import first_line
from qvdnode.client import connect as client
from qvdnode.client import pins
from qvdnode.client.connect import Account, Client, Wishes
from qvdnode.client.core.backoff import Backoff
from qvdnode.client.ending import run_to_signal
from qvdnode.client.nx_proxy import Ending
from qvdnode.client.pins import PinStore
from qvdnode.client.target import Target, parse_target
from qvdnode.model.errors import FarmError, Invalid
from qvdnode.runtime.clock import SystemClock
from qvdnode.wire.qvd_params import GRAMMAR

T = TypeVar("T")

Host = Annotated[str, typer.Argument(help="The node: HOST or HOST:PORT (8443).")]
User = Annotated[str, typer.Option("--user", "-u", help="Your login, such as alice or alice@acme.")]
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

SAID: Final = {
    Ending.CLOSED: "The session ended: the desktop was stopped, left or opened from elsewhere.",
    Ending.LEFT: "The window was closed; the desktop runs on.",
    Ending.DROPPED: "The link dropped; the desktop runs on.",
}


def ls(
    host: Host,
    *,
    user: User,
    pin: Pin = None,
    insecure: Insecure = False,
    password_file: PasswordFile = None,
) -> None:
    """List your desktops."""

    def work() -> None:
        account = _account(host, user, Trust(pin, insecure), password_file)
        found = _run(client.desktops_at(account, SystemClock()))
        for entry in found:
            blocked = "  (offline for maintenance)" if entry.blocked else ""
            tell(f"{entry.id:>6}  {entry.state:<9} {escape(entry.name)}{blocked}")
        if not found:
            tell("You have no desktop here.")

    _told(work)


def connect(  # noqa: PLR0913 - one parameter is one option
    host: Host,
    *,
    user: User,
    vm: Annotated[str | None, typer.Option(help="Name or number, if you have several.")] = None,
    display: Annotated[str | None, typer.Option(help="X display; $DISPLAY by default.")] = None,
    fullscreen: Annotated[bool, typer.Option("--fullscreen", "-f")] = False,
    geometry: Annotated[str | None, typer.Option(help="WIDTHxHEIGHT; else by your screen.")] = None,
    keyboard: Annotated[str | None, typer.Option(help="Such as pc105/es; else as it is.")] = None,
    link: Annotated[
        str | None, typer.Option(help="modem, isdn, adsl, wan, lan or local; else measured.")
    ] = None,
    reconnect_for: Annotated[
        float, typer.Option(min=0, help="Seconds to try again after a dropped link; 0 for never.")
    ] = 600.0,
    pin: Pin = None,
    insecure: Insecure = False,
    password_file: PasswordFile = None,
) -> None:
    """Show your desktop in a window. Closing the window leaves it running."""

    def work() -> None:
        shown_on = display or os.environ.get("DISPLAY")
        if not shown_on:
            raise Invalid("There is no X display: set DISPLAY or give --display.")
        _refuse_odd({"geometry": geometry, "keyboard": keyboard, "link": link})
        wishes = Wishes(shown_on, vm, fullscreen, geometry, keyboard, link)
        account = _account(host, user, Trust(pin, insecure), password_file)
        shown = Client(account, wishes, Line(), SystemClock(), random.Random())
        ending = _run(shown.run(Backoff(give_up_s=reconnect_for)))
        tell(SAID[ending])

    _told(work)


class Line:
    """Shows what the node says while one waits, on stderr."""

    def __call__(self, sentence: str) -> None:
        """One more line."""
        Console(stderr=True, highlight=False).print(f"[dim]{escape(sentence)}[/dim]")


@dataclass(frozen=True, slots=True)
class Trust:
    """What the person says about the server's certificate."""

    pin: str | None
    insecure: bool

    def __post_init__(self) -> None:
        """Refuse both at once."""
        if self.pin is not None and self.insecure:
            raise Invalid("--pin and --insecure contradict each other.", field="pin")


def _refuse_odd(options: Mapping[str, str | None]) -> None:
    """Raise Invalid for a wish that the node would pass over in silence."""
    for name, value in options.items():
        if value is not None and not GRAMMAR[name].fullmatch(value):
            raise Invalid(f"--{name} {value}: see `qvd connect --help` for what it takes.")


def _account(host: str, user: str, trust: Trust, password_file: Path | None) -> Account:
    """Settles the certificate before it asks for the password."""
    target = parse_target(host)
    return Account(target, _settled(target, trust), user, _password(user, target, password_file))


def _settled(target: Target, trust: Trust) -> str | None:
    """The pin to insist on; None for any certificate. Raises Forbidden, Invalid, Unavailable."""
    if trust.insecure:
        return None
    store = PinStore(pins.default_path(os.environ, Path.home()))
    known = store.get(target)
    if known is not None and trust.pin is None:
        return known
    seen = _run(client.fingerprint_at(target, SystemClock()))
    if trust.pin is not None:
        wanted = parse_fingerprint(trust.pin)
        pins.demand(target, seen, wanted)
        store.put(target, wanted)
        return wanted
    if not sys.stdin.isatty():
        raise Invalid(
            f"{target} is new here and nobody can confirm its certificate: add --pin {seen} "
            "if that is the node's.",
            field="pin",
        )
    return pins.first_pin(store, target, seen, typer.confirm)


def _password(user: str, target: Target, file: Path | None) -> str:
    if file is None:
        typed: str = typer.prompt(f"Password of {user} at {target}", hide_input=True)
        return typed
    if file == STDIN:
        return first_line()
    try:
        return file.read_text(encoding="utf-8").splitlines()[0]
    except (OSError, IndexError, ValueError) as error:
        raise Invalid(f"There is no password in {file}.") from error


def _run(work: Coroutine[Any, Any, T]) -> T:
    result = run_to_signal(work)
    if result is None:
        raise typer.Exit(0)
    return result


def _told(work: Callable[[], None]) -> None:
    try:
        work()
    except FarmError as error:
        fail(error)
