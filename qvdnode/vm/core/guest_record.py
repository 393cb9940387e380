"""State files: what a node needs to adopt a running guest, as JSON. Pure: paths are text.

A restarted node adopts guests by these files alone, without the database.
"""

import json
from dataclasses import asdict, dataclass
from datetime import datetime
from ipaddress import IPv4Address, IPv4Interface
from typing import Any, Final

from qvdnode.model.errors import Invalid
from qvdnode.model.farm import DesktopOrder, Flavour, Takeover, User, Vm
from qvdnode.model.guest import GuestPort, GuestProcess, IdRange
from qvdnode.model.ids import Generation
from qvdnode.model.transfer import Transfer
from qvdnode.model.vm_state import VmState

VERSION: Final = 1
ADDED_SINCE: Final = {
    "hibernate_after_s": 0,
    "idle_minutes": 0,
    "nesting": False,
    "takeover": "never",
    "overlay": "fresh",
    "clipboard": "both",
    "files": "both",
}
"""Fields of flavours that files of earlier releases lack."""


@dataclass(frozen=True, slots=True)
class GuestRecord:
    """One start of one VM."""

    order: DesktopOrder
    generation: Generation
    boot_id: str
    """Which boot of the host it belongs to."""
    ids: IdRange
    port: GuestPort
    root: str
    home: str
    process: GuestProcess | None
    """None until the guest was launched."""
    resume_digest: str | None = None
    """Digest of the parameters for which a resume of its display needs no script."""
    merges: bool = False
    """Whether the kernel may merge its memory with that of others."""

    @property
    def driver(self) -> str:
        """The driver that runs the guest: that of the flavour with which it was started."""
        return self.order.flavour.driver


def encode(record: GuestRecord) -> bytes:
    """The content of a state file."""
    body = {"version": VERSION, **asdict(record)}
    return json.dumps(body, default=_plain, indent=1, sort_keys=True).encode() + b"\n"


def decode(content: bytes) -> GuestRecord:
    """The record of a state file; raises Invalid if it is damaged or of another version."""
    try:
        body = json.loads(content)
        if body["version"] != VERSION:
            raise Invalid(
                f"a state file of version {body['version']}; this program knows {VERSION}"
            )
        return _record(body)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise Invalid(f"not a state file: {error}") from error


def _record(body: dict[str, Any]) -> GuestRecord:
    order, port, process = body["order"], body["port"], body["process"]
    return GuestRecord(
        order=DesktopOrder(
            vm=Vm(**{**order["vm"], "state": VmState(order["vm"]["state"])}),
            user=User(**{**order["user"], "created_at": _moment(order["user"]["created_at"])}),
            flavour=_flavour({**ADDED_SINCE, **order["flavour"]}),
            image_version=int(order["image_version"]),
        ),
        generation=Generation(int(body["generation"])),
        boot_id=str(body["boot_id"]),
        ids=IdRange(int(body["ids"]["start"]), int(body["ids"]["count"])),
        port=GuestPort(
            link=str(port["link"]),
            mac=str(port["mac"]),
            address=IPv4Interface(port["address"]),
            gateway=IPv4Address(port["gateway"]),
            egress=bool(port["egress"]),
        ),
        root=str(body["root"]),
        home=str(body["home"]),
        process=None
        if process is None
        else GuestProcess(int(process["pid"]), int(process["started_ticks"])),
        resume_digest=None if body.get("resume_digest") is None else str(body["resume_digest"]),
        merges=bool(body.get("merges", False)),
    )


def _flavour(values: dict[str, Any]) -> Flavour:
    enums = {
        "takeover": Takeover(values["takeover"]),
        "clipboard": Transfer(values["clipboard"]),
        "files": Transfer(values["files"]),
    }
    return Flavour(**{**values, **enums})


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _plain(value: object) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)
