"""`qvd login` and `qvd logout`: which node, trusted by which pin, with which token."""

import asyncio
import os
import sys
from pathlib import Path
from typing import Annotated, Final

import typer

from qvdnode.cli import saved_login
from qvdnode.cli.answer_tables import JsonFlag, tell
from qvdnode.cli.api_client import ApiClient
from qvdnode.cli.examples import examples
from qvdnode.cli.node_address import parse_fingerprint, parse_url, split_address
from qvdnode.cli.qvd.asking import confirmed
from qvdnode.cli.qvd.authority_option import CaFile
from qvdnode.cli.qvd.secret_input import read_token
from qvdnode.cli.saved_login import OtherNode, SavedLogin
from qvdnode.client.connect import fingerprint_at
from qvdnode.client.core.certificate_refusal import Untrusted
from qvdnode.client.target import Target
from qvdnode.client.trust import Trust, authorities
from qvdnode.model.errors import Forbidden, Invalid
from qvdnode.runtime.clock import SystemClock

LOGIN_EXAMPLES: Final = examples(
    "qvd login https://node1:8444",
    "qvd login node1 --fingerprint SHA256:... --token-stdin < FILE",
    "qvd login https://desk1:8444 --node https://desk2:8444 --ca ./our-authority.pem",
    "qvd login https://node1.example.org:8444 --ca ./our-authority.pem",
)
LOGOUT_EXAMPLES: Final = examples("qvd logout")


def login(
    url: Annotated[str, typer.Argument(help="Where the node answers: https://NODE:8444")],
    *,
    fingerprint: Annotated[
        list[str] | None,
        typer.Option(
            help="The node's fingerprint, as `qvdnode init` printed it; with --node one for each,"
            " in their order."
        ),
    ] = None,
    other: Annotated[
        list[str] | None,
        typer.Option(
            "--node",
            metavar="URL",
            help="Another node of the farm, asked when the first does not answer; may be repeated.",
        ),
    ] = None,
    ca: CaFile = None,
    token_stdin: Annotated[
        bool, typer.Option("--token-stdin", help="Read the API token from stdin.")
    ] = False,
    as_json: JsonFlag = False,
) -> None:
    """Log in to a node with an API token; later commands go there."""
    urls = [parse_url(text) for text in (url, *(other or ()))]
    pins: list[str | None] = [parse_fingerprint(text) for text in fingerprint or ()]
    pins = pins or [_pin(url, ca) for url in urls]
    if len(pins) != len(urls):
        raise Invalid("Give --fingerprint for every node, or for none.", field="fingerprint")
    node, *others = map(OtherNode, urls, pins)
    file = None if ca is None or None not in pins else str(ca.absolute())
    token = read_token(from_stdin=token_stdin)
    fresh = SavedLogin(node.url, node.fingerprint, token, file, tuple(others))
    asyncio.run(_try_out(fresh))
    saved_login.save(fresh, saved_login.config_folder(os.environ))
    tell(f"Logged in to {fresh.url}.", json=as_json)


def logout(*, as_json: JsonFlag = False) -> None:
    """Forget the node and the token. The token stays valid: see `qvd token revoke`."""
    was = saved_login.forget(saved_login.config_folder(os.environ))
    tell("Logged out." if was else "You were not logged in.", json=as_json)


async def _try_out(login: SavedLogin) -> None:
    async with ApiClient(login) as api:
        await api.get("/node")


def _pin(url: str, ca: Path | None) -> str | None:
    """None where an authority vouches for the node; else its fingerprint, which a person confirms.

    Raises Untrusted for a certificate of an authority that is not trusted here.
    """
    target, clock = Target(*split_address(url)), SystemClock()
    try:
        asyncio.run(fingerprint_at(target, clock, Trust(authorities=authorities(ca))))
    except Untrusted as refusal:
        if not refusal.self_signed:
            raise
    else:
        return None
    shown = asyncio.run(fingerprint_at(target, clock))
    if not sys.stdin.isatty():
        raise Invalid(
            f"Nobody can confirm the certificate: add --fingerprint {shown} if that is the node's.",
            field="fingerprint",
        )
    typer.echo(f"The node shows a certificate with fingerprint {shown}", err=True)
    if not confirmed("Is that the one `qvdnode init` printed?"):
        raise Forbidden("The node was not trusted; nothing was sent to it.")
    return shown
