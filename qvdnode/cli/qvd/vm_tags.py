"""`qvd vm tag`: tags of VMs, by which rollouts choose desktops."""

from typing import Annotated, Any

import typer

from qvdnode.cli import name_lookup
from qvdnode.cli.answer_tables import JsonFlag, show_json, tell
from qvdnode.cli.api_answers import Json
from qvdnode.cli.api_client import ApiClient
from qvdnode.cli.examples import examples
from qvdnode.cli.qvd.api_session import with_api
from qvdnode.model.errors import Invalid

Vm = Annotated[str, typer.Argument(help="LOGIN[@TENANT]/NAME, NAME or number of the VM.")]


def tag(
    vm: Vm,
    tags: Annotated[
        list[str] | None, typer.Argument(metavar="[TAG]...", help="All tags it is to have.")
    ] = None,
    *,
    clear: Annotated[bool, typer.Option("--clear", help="Take all tags away.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """Show the tags of a VM, or set them; `qvd image rollout` chooses desktops by tags."""
    if clear and tags:
        raise Invalid("Give tags or --clear, not both.")

    async def work(api: ApiClient) -> Json:
        path = f"/vms/{await name_lookup.vm_id(api, vm)}/tags"
        if not tags and not clear:
            return await api.get(path)
        return await api.call("PUT", path, {"tags": tags or []})

    found: dict[str, Any] = with_api(work)
    if as_json:
        show_json(found)
    else:
        tell(" ".join(found["tags"]) or "This VM has no tags.")


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command("tag", epilog=examples("qvd vm tag alice/desk pilot", "qvd vm tag alice/desk"))(tag)
