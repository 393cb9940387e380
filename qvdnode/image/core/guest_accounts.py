"""Removes a desktop's user from the files that list accounts. Pure."""

from collections.abc import Mapping
from typing import Final

USER_ID: Final = b"1000"
"""Id of the account that the session script makes, and of its group."""


def without_user(files: Mapping[bytes, bytes]) -> dict[bytes, bytes]:
    """Return the files by path, such as /etc/passwd, without the user, their group and password."""
    names = {
        line.split(b":")[0]
        for path, content in files.items()
        if path in {b"/etc/passwd", b"/etc/group"}
        for line in content.splitlines()
        if _is_users(line)
    }
    return {
        path: b"".join(
            line
            for line in content.splitlines(keepends=True)
            if line.split(b":")[0].rstrip(b"\n") not in names
        )
        for path, content in files.items()
    }


def _is_users(line: bytes) -> bool:
    fields = line.split(b":")
    return len(fields) > 2 and fields[2] == USER_ID
