"""Encodes a node's answers to QVD clients. Pure.

The exact case of header names matters to the Perl and Qt clients, a header name with an underscore
makes the Perl client give up, and none of them understands a chunked body.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from qvdnode.model.desktop import DesktopEntry

REASONS: Final[dict[int, str]] = {
    200: "OK",
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    408: "Request Timeout",
    422: "Unprocessable Entity",
    426: "Upgrade Required",
    500: "Internal Server Error",
    503: "Service Unavailable",
    505: "HTTP Version Not Supported",
}
PROGRESS_MAX: Final = 200
"""Characters of one progress sentence; the C library shows it in one line."""
TEXT: Final = "text/plain; charset=utf-8"
JSON: Final = "application/json"
CHALLENGE: Final = ("WWW-Authenticate", 'Basic realm="QVD"')
UPGRADE_TO: Final = "QVD/1.0"


@dataclass(frozen=True, slots=True)
class Answer:
    """One final answer."""

    status: int
    body: bytes
    content_type: str = TEXT
    headers: tuple[tuple[str, str], ...] = ()

    def encode(self, *, last: bool = False) -> bytes:
        """The bytes; `last` tells the client that the connection ends after it."""
        lines = [
            f"HTTP/1.1 {self.status} {REASONS[self.status]}\r\n",
            f"Content-Type: {self.content_type}\r\n",
            f"Content-Length: {len(self.body)}\r\n",
        ]
        lines += [f"{name}: {value}\r\n" for name, value in self.headers]
        if last:
            lines.append("Connection: close\r\n")
        lines.append("\r\n")
        return "".join(lines).encode("latin-1") + self.body


def sentence(status: int, text: str, *headers: tuple[str, str]) -> Answer:
    """An answer whose body is one sentence for a person."""
    return Answer(status, f"{text}\r\n".encode(), headers=headers)


def progress_head(text: str) -> bytes:
    """A 102 that tells the waiting client what is going on."""
    return f"HTTP/1.1 102 Processing\r\nX-QVD-VM-Info: {header_text(text)}\r\n\r\n".encode("ascii")


def upgrade_head(slave_key: str) -> bytes:
    """The 101; after it the connection carries the NX stream. The key is of [A-Za-z0-9]."""
    if not slave_key.isalnum() or not slave_key.isascii():
        raise ValueError("a slave key is of letters and digits only")
    return (
        "HTTP/1.1 101 Switching Protocols\r\n"
        f"X-QVD-Slave-Key: {slave_key}\r\n"
        "Connection: Upgrade\r\n"
        f"Upgrade: {UPGRADE_TO}\r\n\r\n"
    ).encode("ascii")


def header_text(text: str) -> str:
    """Text as it may stand in a header: printable ASCII, one line, bounded."""
    printable = "".join(char if " " <= char <= "~" else "?" for char in text[:PROGRESS_MAX])
    return printable.strip() or "Working"


def desktop_list(entries: Iterable[DesktopEntry]) -> Answer:
    """The answer to list_of_vm. `id` and `blocked` are integers: the C library unpacks integers
    and leaves garbage otherwise, Qt reads 0 from a string."""
    rows = [
        f'{{"id": {entry.id}, "name": {json.dumps(entry.name)}, "state": "{entry.state}",'
        f' "blocked": {entry.blocked:d}, "is_application": {entry.is_application:d}}}'
        for entry in entries
    ]
    return Answer(200, f"[{', '.join(rows)}]".encode("ascii"), JSON)


def json_object(**fields: str | int) -> Answer:
    """An answer that is one JSON object."""
    return Answer(200, json.dumps(fields).encode("ascii"), JSON)
