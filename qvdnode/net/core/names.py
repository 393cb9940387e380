"""Names and addresses derived from a VM's id and the instance's prefix.

A link's name ends in the VM id in base 36 with capital letters. Capitals keep it apart from the
bridge: the VM 468 has the link `qvD0`, and `qvd0` is the bridge.
"""

import re
import zlib
from ipaddress import IPv6Address
from typing import Final

from qvdnode.model.ids import VmId

DIGITS: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
LINK_MARK: Final = "qv"
MAX_NAME: Final = 15
"""What Linux allows for the name of a network link."""
BRIDGE_MAC_START: Final = 0x06
GUEST_MAC_START: Final = 0x02
"""Both mark locally administered addresses; they differ, so no guest gets the bridge's address."""


def base36(number: int) -> str:
    """Write a number that is not negative in base 36."""
    text = ""
    while True:
        number, digit = divmod(number, 36)
        text = DIGITS[digit] + text
        if number == 0:
            return text


def link_name(prefix: str, vm_id: VmId) -> str:
    """Name of the host's end of a VM's veth pair."""
    return f"{prefix}{LINK_MARK}{base36(vm_id)}"


def link_pattern(prefix: str) -> str:
    """Pattern of nftables that matches all guest links of an instance."""
    return f"{prefix}{LINK_MARK}*"


def is_guest_link(prefix: str, name: str) -> bool:
    """Whether the name is that of a guest link of this instance."""
    return re.fullmatch(re.escape(prefix + LINK_MARK) + "[0-9A-Z]{1,6}", name) is not None


def bridge_name(prefix: str) -> str:
    """Name of the instance's bridge unless the config gives one."""
    return f"{prefix}qvd0"


def table_name(prefix: str) -> str:
    """Name of the instance's two nftables tables."""
    return f"qvdnode_{prefix}" if prefix else "qvdnode"


def guest_mac(prefix: str, vm_id: VmId) -> str:
    """A VM's MAC address: the same at every start, and unique in the instance."""
    return _mac(
        bytes([GUEST_MAC_START, zlib.crc32(prefix.encode()) & 0xFF]) + vm_id.to_bytes(4, "big")
    )


def bridge_mac(prefix: str, bridge: str) -> str:
    """The bridge's own MAC address; without one it would change with its ports."""
    return _mac(
        bytes([BRIDGE_MAC_START, 0]) + zlib.crc32(f"{prefix}/{bridge}".encode()).to_bytes(4, "big")
    )


def link_local(mac: str) -> IPv6Address:
    """The IPv6 link-local address that a guest makes from its MAC address (EUI-64)."""
    octets = bytes.fromhex(mac.replace(":", ""))
    interface = bytes([octets[0] ^ 2]) + octets[1:3] + b"\xff\xfe" + octets[3:]
    return IPv6Address(b"\xfe\x80" + bytes(6) + interface)


def _mac(octets: bytes) -> str:
    return octets.hex(":")
