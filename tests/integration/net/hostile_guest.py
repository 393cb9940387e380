"""Run by the root of a real guest: tries what it can and tells as JSON what it achieved.

Needs the standard library only, and ip(8). Arguments: gateway, node, neighbour, world, port.
"""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

PATIENCE_S = 0.4


def reaches(address: str, port: int) -> bool:
    """Whether a TCP connection comes about."""
    with socket.socket() as dialling:
        dialling.settimeout(PATIENCE_S)
        return dialling.connect_ex((address, port)) == 0


def is_answered(address: str, port: int) -> bool:
    """Whether a datagram is answered."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        asking.settimeout(PATIENCE_S)
        asking.sendto(b"question", (address, port))
        try:
            return asking.recv(64) == b"answer"
        except TimeoutError:
            return False


def claim_gateway(gateway: str) -> None:
    """Tell everybody that the gateway is here."""
    mac = bytes.fromhex(Path("/sys/class/net/eth0/address").read_text().strip().replace(":", ""))
    address = socket.inet_aton(gateway)
    head = b"\xff" * 6 + mac + bytes.fromhex("08060001080006040002")
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as raw:
        raw.bind(("eth0", 0))
        for _ in range(3):
            raw.send(head + mac + address + b"\xff" * 6 + address)


def change(*words: str) -> None:
    """Reconfigure the guest's own link, as its root may."""
    subprocess.run(["/usr/sbin/ip", *words], check=True)


def main() -> None:
    """Attack, one way after another."""
    gateway, node, neighbour, world, port = sys.argv[1:]
    found = {
        "uid": os.getuid(),
        "world": is_answered(world, int(port)),
        "gateway": reaches(gateway, int(port)),
        "node": reaches(node, int(port)),
        "neighbour": reaches(neighbour, int(port)),
        "neighbours_display": reaches(neighbour, 4100),
    }
    claim_gateway(gateway)
    change("addr", "add", f"{neighbour}/32", "dev", "eth0")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as forging:
        forging.bind((neighbour, 0))
        forging.sendto(b"forged", (world, int(port)))
    change("addr", "del", f"{neighbour}/32", "dev", "eth0")
    change("link", "set", "eth0", "address", "02:66:66:66:66:66")
    change("route", "replace", "default", "via", gateway)
    found["world_as_another"] = is_answered(world, int(port))
    print(json.dumps(found))


if __name__ == "__main__":
    main()
