"""Which version of the session contract an image's script speaks; pure."""

import re
from typing import Final

from qvdnode.model.errors import BadImage

KNOWN: Final = frozenset({1})
_LINE: Final = re.compile(rb"# qvd-session-version: *([0-9]{1,6}) *\r?")


def check(script: bytes) -> int:
    """Return the contract version of a session script; raises BadImage for an unknown one."""
    lines = script.split(b"\n", maxsplit=2)
    found = _LINE.fullmatch(lines[1]) if len(lines) > 1 and lines[0].startswith(b"#!") else None
    if found is None:
        raise BadImage("/usr/lib/qvd/session does not say which version of the contract it follows")
    version = int(found[1])
    if version not in KNOWN:
        known = ", ".join(str(number) for number in sorted(KNOWN))
        raise BadImage(
            f"/usr/lib/qvd/session follows version {version} of the contract; this node knows "
            f"{known}"
        )
    return version
