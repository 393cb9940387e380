"""`qvd login` and `qvd logout`: which node, trusted by which pin, with which token."""

import os
from typing import Annotated

import typer

from qvdnode.cli import saved_login
from qvdnode.cli.answer_tables import tell
from qvdnode.cli.api_client import ApiClient
from qvdnode.cli.api_session import told
from qvdnode.cli.node_address import parse_fingerprint, parse_url, split_address
from qvdnode.cli.saved_login import SavedLogin
from qvdnode.cli.secret_input import read_token
from qvdnode.client.connect import fingerprint_at
from qvdnode.client.target import Target
from qvdnode.model.errors import Invalid
from qvdnode.runtime.clock import SystemClock


def login(
    url: Annotated[str, typer.Argument(help="Where the node answers: https://NODE:8444")],
    *,
    fingerprint: Annotated[
        str | None, typer.Option(help="The node's fingerprint, as `qvdnode init` printed it.")
    ] = None,
    token_stdin: Annotated[
        bool, typer.Option("--token-stdin", help="Read the API token from stdin.")
    ] = False,
) -> None:
    """Log in to a node with an API token; later commands go there."""

    async def work() -> SavedLogin:
        node = parse_url(url)
        pin = parse_fingerprint(fingerprint) if fingerprint else await _trusted(node, token_stdin)
        fresh = SavedLogin(node, pin, read_token(from_stdin=token_stdin))
        async with ApiClient(fresh) as api:
            await api.get("/node")
        saved_login.save(fresh, saved_login.config_folder(os.environ))
        return fresh

    tell(f"Logged in to {told(work).url}.")


def logout() -> None:
    """Forget the node and the token. The token stays valid: see `qvd token revoke`."""
    was = saved_login.forget(saved_login.config_folder(os.environ))
    tell("Logged out." if was else "You were not logged in.")


async def _trusted(url: str, token_on_stdin: bool) -> str:  # noqa: FBT001 - one private caller
    """The fingerprint the node shows, once the person has said that it is the right one."""
    shown = await fingerprint_at(Target(*split_address(url)), SystemClock())
    if token_on_stdin:
        raise Invalid(
            f"Nobody can confirm the certificate: add --fingerprint {shown} if that is the node's.",
            field="fingerprint",
        )
    tell(f"The node shows a certificate with fingerprint {shown}")
    typer.confirm("Is that the one `qvdnode init` printed?", abort=True)
    return shown
