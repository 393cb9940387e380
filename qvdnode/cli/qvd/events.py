"""`qvd events`: what changes in the farm, as it happens."""

import contextlib
import json
import sys
from typing import Annotated, Any, Final

import typer

from qvdnode.cli.answer_tables import tell
from qvdnode.cli.api_client import ApiClient
from qvdnode.cli.examples import examples
from qvdnode.cli.qvd.api_session import with_api
from qvdnode.model.errors import Unauthenticated, Unavailable
from qvdnode.runtime.clock import SystemClock
from qvdnode.wire.plain_text import printable
from qvdnode.wire.server_sent_events import SentEvent

EXAMPLES: Final = examples(
    "qvd events --follow", "qvd events --follow --kinds vm,node --json", "qvd events --kinds vm"
)
AGAIN_S: Final = 2.0
HELLO: Final = "hello"
RESYNC: Final = "resync"
END: Final = "end"
LEADING: Final = ("kind", "id", "change")
"""Fields that are shown without their names."""


def events(
    *,
    follow: Annotated[
        bool, typer.Option("--follow", help="Go on until Ctrl-C, instead of to the first event.")
    ] = False,
    kinds: Annotated[
        str | None,
        typer.Option(
            "--kinds",
            help="Only these, with commas between them: tenant, user, flavour, image, vm, session, "
            "node, token, audit.",
        ),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object a line instead.")
    ] = False,
) -> None:
    """Print what changes in the farm, as it happens. Without --follow, wait for one change."""
    with_api(lambda api: _watch(api, kinds, follow=follow, as_json=as_json))


async def _watch(api: ApiClient, kinds: str | None, *, follow: bool, as_json: bool) -> None:
    """Print events; after a lost connection go on where it ended."""
    last_id: str | None = None
    while True:
        with contextlib.suppress(Unavailable) if last_id else contextlib.nullcontext():
            async for event in api.events(last_id=last_id, kinds=kinds):
                last_id = event.id or last_id
                if event.name == END and "log in" in event.data:
                    raise Unauthenticated("This login has ended; `qvd login` stores a new one.")
                if event.name in {HELLO, END}:
                    continue
                _show(event, as_json=as_json)
                if not follow and event.name != RESYNC:
                    return
        await SystemClock().sleep(AGAIN_S)


def _show(event: SentEvent, *, as_json: bool) -> None:
    fields = _fields(event)
    if as_json:
        sys.stdout.write(json.dumps(fields) + "\n")
        sys.stdout.flush()
        return
    words = [str(fields[name]) for name in LEADING if name in fields]
    words += [f"{name}={value}" for name, value in fields.items() if name not in LEADING]
    now = SystemClock().now().astimezone().strftime("%H:%M:%S")
    tell(printable(f"{now}  {' '.join(words)}"))


def _fields(event: SentEvent) -> dict[str, Any]:
    """The data of an event; a text that is not a JSON object is a field of its own."""
    try:
        fields = json.loads(event.data)
    except ValueError:
        fields = None
    if not isinstance(fields, dict):
        return {"kind": event.name, "data": event.data}
    return {"kind": event.name, **fields}
