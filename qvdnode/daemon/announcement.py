"""`node.json`: how a running node tells programs on its host where it serves."""

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Final

from qvdnode.runtime.safe_files import replace_file

FILE_NAME: Final = "node.json"


@dataclass(frozen=True, slots=True)
class Announcement:
    """What a program needs to find a node that serves on this host."""

    pid: int
    client_port: int
    admin_port: int
    fingerprint: str
    peer_port: int = 0
    gossip_port: int = 0


def publish(state_dir: Path, announcement: Announcement) -> None:
    """Write the file, whole or not at all."""
    replace_file(state_dir / FILE_NAME, json.dumps(asdict(announcement)).encode(), mode=0o644)


def correct(state_dir: Path, fingerprint: str) -> None:
    """Tell the fingerprint of a certificate that was replaced; a node not announced stays so."""
    found = read(state_dir)
    if found is not None:
        publish(state_dir, replace(found, fingerprint=fingerprint))


def withdraw(state_dir: Path) -> None:
    """Remove the file; fine if it is not there."""
    (state_dir / FILE_NAME).unlink(missing_ok=True)


def read(state_dir: Path) -> Announcement | None:
    """The announcement of the node that serves from this state folder, or None."""
    try:
        fields = json.loads((state_dir / FILE_NAME).read_text(encoding="utf-8"))
        announcement = Announcement(**fields)
    except (OSError, ValueError, TypeError):
        return None
    return announcement if Path(f"/proc/{announcement.pid}").exists() else None
