"""The parameters of a guest's session script.

The script refuses characters that could mean something to a shell or to nxagent, so whatever comes
from people is brought into its grammar here; docs/protocol/session-script.md has it.
"""

import hashlib
import re
from collections.abc import Sequence
from typing import Final

from qvdnode.model.account import account_name
from qvdnode.model.display_params import DisplayParams
from qvdnode.model.farm import DesktopOrder
from qvdnode.model.image_lack import OWN_LOCALE, Lacking
from qvdnode.model.transfer import Transfer
from qvdnode.wire.session_params import CUSTOM_VALUE_MAX, custom_key

GUEST_UID: Final = 1000
NXAGENT_CLIPBOARD: Final = {
    Transfer.BOTH: "",
    Transfer.IN: "client",
    Transfer.OUT: "server",
    Transfer.NONE: "none",
}
"""nxagent's words for where a text may come from."""
ALL_THERE: Final = Lacking()
CUSTOM_MAX: Final = 64
CLIENT_KINDS: Final = {"windows": "windows", "winnt": "windows", "darwin": "macosx"}
"""nxagent's word for the client's system; every other one speaks to it as linux does."""


def host_name(vm_name: str, vm_id: int) -> str:
    """The guest's host name: the VM's name, as far as DNS allows."""
    name = re.sub(r"[^a-z0-9-]+", "-", vm_name.lower()).strip("-")[:63].strip("-")
    return name or f"desktop-{vm_id}"


def machine_id(prefix: str, vm_id: int) -> str:
    """32 hexadecimal digits that stay with the VM, as its root file system does not."""
    return hashlib.sha256(f"{prefix} machine {vm_id}".encode()).hexdigest()[:32]


def session_params(
    order: DesktopOrder,
    display: DisplayParams,
    *,
    prefix: str,
    nameservers: Sequence[str] = (),
    search_domains: Sequence[str] = (),
    lacking: Lacking = ALL_THERE,
) -> dict[str, str]:
    """The parameters of a start or resume, for a client that asked for `display`.

    Values that are empty are left out.
    """
    account = account_name(order.user.login)
    model, *layout = (display.keyboard or "").split("/")
    stated = {
        "LOGIN": account,
        "UID": str(GUEST_UID),
        "HOME": f"/home/{account}",
        "SHELL": order.flavour.shell,
        "HOSTNAME": host_name(order.vm.name, order.vm.id),
        "MACHINE_ID": machine_id(prefix, order.vm.id),
        # Programs that ask for a locale which is not there behave as in "C", without any accents.
        "LOCALE": OWN_LOCALE if lacking.locale else order.flavour.locale,
        "TIMEZONE": display.timezone or order.flavour.timezone,
        "NAMESERVERS": " ".join(nameservers),
        "SEARCH": " ".join(search_domains),
        "KEYBOARD": "/".join((model, *layout[:1])),
        # On its own, so that a script of an older image goes without it.
        "VARIANT": "".join(layout[1:]),
        "LINK": display.link,
        "GEOMETRY": display.geometry or "",
        "FULLSCREEN": "1" if display.fullscreen else "",
        "CLIENT": CLIENT_KINDS.get((display.os or "linux").lower(), "linux"),
        "APPLICATION": order.flavour.application or "",
        "IDLE": str(order.flavour.idle_minutes or ""),
        "CLIPBOARD": NXAGENT_CLIPBOARD[order.flavour.clipboard],
    }
    known = {key: _printable(value) for key, value in stated.items() if value}
    return {**_custom(display.custom), **known}


def _custom(custom: dict[str, str]) -> dict[str, str]:
    names = sorted(custom)[:CUSTOM_MAX]
    return {custom_key(name): _printable(custom[name])[:CUSTOM_VALUE_MAX] for name in names}


def _printable(value: str) -> str:
    return "".join(character for character in value if character >= " " and character != "\x7f")
