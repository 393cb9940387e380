"""Looks for what a log must never hold."""

import base64
import binascii
import re
from typing import Final

from tests.harness.farm import PASSWORD
from tests.harness.node import NodeProcess

ENCODED: Final = re.compile(r"[A-Za-z0-9+/_-]{12,}={0,2}")


def secrets_in(node: NodeProcess) -> list[str]:
    """Lines of the node's log with a password, plain or as clients send it, or the first token."""
    token = (node.state_dir / "admin.token").read_text().strip()
    lines = node.log.read_text(errors="replace").splitlines()
    return [line for line in lines if PASSWORD in line or token in line or _hides_password(line)]


def _hides_password(line: str) -> bool:
    for word in ENCODED.findall(line):
        try:
            if PASSWORD.encode() in base64.b64decode(word, validate=True):
                return True
        except binascii.Error:
            continue
    return False
