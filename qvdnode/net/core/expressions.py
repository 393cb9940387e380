"""Builds nftables' JSON statements and commands (man 5 libnftables-json).

Each function returns one statement of a rule or one command of a transaction.
"""

from collections.abc import Mapping, Sequence
from ipaddress import IPv4Network
from typing import Any, Final

Json = dict[str, Any]
Value = str | int | bool | Sequence[str | int] | Json

ACCEPT: Final[Json] = {"accept": None}
DROP: Final[Json] = {"drop": None}
MASQUERADE: Final[Json] = {"masquerade": None}
IIFNAME: Final[Json] = {"meta": {"key": "iifname"}}
OIFNAME: Final[Json] = {"meta": {"key": "oifname"}}
SKUID: Final[Json] = {"meta": {"key": "skuid"}}
NFPROTO: Final[Json] = {"meta": {"key": "nfproto"}}
CT_STATE: Final[Json] = {"ct": {"key": "state"}}
CT_STATUS: Final[Json] = {"ct": {"key": "status"}}
FLOW_SOURCE: Final[Json] = {"ct": {"key": "ip saddr", "dir": "original"}}
"""Who opened the connection that a packet belongs to, or that an ICMP error is about."""
ICMP_ERRORS: Final = ("destination-unreachable", "redirect", "time-exceeded", "parameter-problem")


def field(protocol: str, name: str) -> Json:
    """A field of a header, as `field("ip", "saddr")`."""
    return {"payload": {"protocol": protocol, "field": name}}


def concat(*parts: Json) -> Json:
    """Several things looked up as one, `a . b . c`."""
    return {"concat": list(parts)}


def masked(left: Json, mask: str) -> Json:
    """`left & mask`."""
    return {"&": [left, mask]}


def equal(left: Json, right: Value) -> Json:
    """The rule goes on if left equals right, or is among the values of a sequence or `@set`."""
    return _match("==", left, right)


def differ(left: Json, right: Value) -> Json:
    """The rule goes on if left is none of right."""
    return _match("!=", left, right)


def first_packet() -> Json:
    """The rule goes on for a packet that opens a connection: the kernel has no entry of it yet."""
    return equal(masked(CT_STATUS, "confirmed"), 0)


def established_flow() -> Json:
    """The rule goes on for packets of a connection that was let through before."""
    return {"match": {"op": "in", "left": CT_STATE, "right": "established"}}


def related_flow() -> Json:
    """The rule goes on for ICMP errors about such a connection; their sender may be forged."""
    return {"match": {"op": "in", "left": CT_STATE, "right": "related"}}


def more_often_than(per_s: int, *, burst: int, per: Json, meter: str, keys_max: int) -> Json:
    """The rule goes on for packets that have the same value of `per` more often than that."""
    rate = {"limit": {"rate": per_s, "per": "second", "burst": burst, "inv": True}}
    return {"meter": {"name": meter, "key": per, "size": keys_max, "stmt": rate}}


def more_connections_than(limit: int, *, per: Json, meter: str, keys_max: int) -> Json:
    """The rule goes on if more connections than that have the same value of `per`.

    A connection whose packet is then dropped does not count. Meters, unlike named sets with such a
    limit, can be written in the JSON of libnftables 1.0.6 (Debian 12).
    """
    counted = {"ct count": {"val": limit, "inv": True}}
    return {"meter": {"name": meter, "key": per, "size": keys_max, "stmt": counted}}


def count(reason: str) -> Json:
    """Count the packet under a counter of the table."""
    return {"counter": reason}


def goto(chain: str) -> Json:
    """Continue in another chain without return."""
    return {"goto": {"target": chain}}


def network(subnet: IPv4Network) -> Json:
    """A network as a value."""
    return {"prefix": {"addr": str(subnet.network_address), "len": subnet.prefixlen}}


def add(kind: str, body: Mapping[str, object]) -> Json:
    """Command: make an object of the rule set, unless it is there already."""
    return {"add": {kind: dict(body)}}


def delete(kind: str, body: Mapping[str, object]) -> Json:
    """Command: remove an object; the transaction fails if it is not there."""
    return {"delete": {kind: dict(body)}}


def _match(op: str, left: Json, right: Value) -> Json:
    if isinstance(right, str | int | dict):
        return {"match": {"op": op, "left": left, "right": right}}
    return {"match": {"op": op, "left": left, "right": {"set": list(right)}}}
