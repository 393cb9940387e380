"""The client's side of the QVD wire, pure: writes request heads, reads answers from bytes.

The server's side is wire/qvd1.py. An answer is any number of 102s with a progress sentence, then a
final head with a body of Content-Length bytes, or a 101 after which the bytes are NX.
"""

import base64
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote, urlencode

from qvdnode.model.desktop import DesktopEntry, SessionEnd
from qvdnode.model.errors import Invalid
from qvdnode.model.ids import MAX_WIRE_ID, VmId
from qvdnode.model.vm_state import DisplayState, WireState

PROGRESS_HEADER: Final = "x-qvd-vm-info"
HEAD_BYTES_MAX: Final = 16_384
BODY_BYTES_MAX: Final = 4 * 1024 * 1024
PROGRESS_MAX: Final = 2_000
"""Sentences before one final answer; a start that takes ten minutes has some hundred."""
HEAD_END: Final = b"\r\n\r\n"


class BadAnswer(Invalid):
    """What came back is not QVD; most likely it is another kind of server."""


@dataclass(frozen=True, slots=True)
class Progressed:
    """A 102: the server works on it and says what it does."""

    sentence: str


@dataclass(frozen=True, slots=True)
class Answered:
    """The final answer of a request."""

    status: int
    headers: Mapping[str, str]
    """Names in lower case."""
    body: bytes


@dataclass(frozen=True, slots=True)
class Switched:
    """A 101: from here on the connection carries NX. `rest` came along behind the head."""

    headers: Mapping[str, str]
    rest: bytes


Event = Progressed | Answered | Switched


def basic_authorization(login: str, password: str) -> str:
    """The Authorization header of a login; the password may hold colons, the login may not.

    Raises Invalid when the login holds a colon.
    """
    if ":" in login:
        raise Invalid("A login name cannot hold a colon.", field="login")
    return "Basic " + base64.b64encode(f"{login}:{password}".encode()).decode("ascii")


def request_head(
    path: str, query: Mapping[str, str], authorization: str, *, upgrade: bool = False
) -> bytes:
    """The whole head of a GET, blank line included."""
    target = path + ("?" + urlencode(query, quote_via=quote, safe="/") if query else "")
    lines = [
        f"GET {target} HTTP/1.1",
        f"Authorization: {authorization}",
        "Accept: application/json",
        "User-Agent: qvdnode (linux)",
    ]
    if upgrade:
        lines += ["Connection: Upgrade", "Upgrade: QVD/1.0"]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("ascii")


class AnswerReader:
    """Turns received bytes into events; one reader serves one connection, request after request.

    Raises BadAnswer on anything that is not an answer; the reader is of no use afterwards.
    """

    def __init__(self) -> None:
        self._waiting = bytearray()
        self._head: tuple[int, Mapping[str, str]] | None = None
        self._switched = False
        self._sentences = 0

    def receive(self, data: bytes) -> Iterator[Event]:
        """The events that these bytes complete; nothing follows a Switched."""
        if self._switched:
            raise AssertionError("the connection carries NX now")
        self._waiting += data
        while (event := self._next()) is not None:
            yield event
            if isinstance(event, Switched):
                return

    def _next(self) -> Event | None:
        if self._head is None:
            self._head = self._take_head()
        if self._head is None:
            return None
        status, headers = self._head
        if status == 101:
            self._switched = True
            rest = bytes(self._waiting)
            self._waiting.clear()
            return Switched(headers, rest)
        if status < 200:
            self._head = None
            self._sentences += 1
            if self._sentences > PROGRESS_MAX:
                raise BadAnswer("The server goes on telling its progress without end.")
            return Progressed(headers.get(PROGRESS_HEADER, ""))
        length = _content_length(headers)
        if len(self._waiting) < length:
            return None
        body = bytes(self._waiting[:length])
        del self._waiting[:length]
        self._head, self._sentences = None, 0
        return Answered(status, headers, body)

    def _take_head(self) -> tuple[int, Mapping[str, str]] | None:
        end = self._waiting.find(HEAD_END)
        if end > HEAD_BYTES_MAX or (end < 0 and len(self._waiting) > HEAD_BYTES_MAX):
            raise BadAnswer("The server's answer is too long to be QVD's.")
        if end < 0:
            if not b"HTTP/1.1 ".startswith(self._waiting[:9]):
                raise BadAnswer("The server does not speak QVD: is this the right port?")
            return None
        head = bytes(self._waiting[:end])
        del self._waiting[: end + len(HEAD_END)]
        return _parse_head(head)


def parse_desktops(body: bytes) -> tuple[DesktopEntry, ...]:
    """The rows of a list_of_vm body; raises BadAnswer."""
    try:
        rows = json.loads(body)
        return tuple(_entry(row) for row in rows)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise BadAnswer("The server's list of desktops cannot be read.") from error


def parse_session_end(body: bytes) -> SessionEnd:
    """Parse the answer to session_end; raises BadAnswer."""
    try:
        said = json.loads(body)
        return SessionEnd(
            state=WireState(said["state"]),
            display=DisplayState(said["display"]),
            viewer=bool(said["viewer"]),
            because=str(said["because"]),
            failed=bool(said["failed"]),
        )
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise BadAnswer("The server's answer about the session's end cannot be read.") from error


def _entry(row: Mapping[str, object]) -> DesktopEntry:
    vm_id, name, state = row["id"], row["name"], row["state"]
    # Older servers send the id as a string.
    number = int(vm_id) if isinstance(vm_id, str | int) else -1
    if not 0 < number <= MAX_WIRE_ID or not isinstance(name, str):
        raise ValueError("no desktop")
    return DesktopEntry(
        id=VmId(number),
        name=name,
        state=WireState(str(state)),
        blocked=bool(row.get("blocked", 0)),
        is_application=bool(row.get("is_application", 0)),
    )


def _parse_head(head: bytes) -> tuple[int, Mapping[str, str]]:
    first, *lines = head.decode("latin-1").split("\r\n")
    version, _, rest = first.partition(" ")
    code = rest[:3]
    if version != "HTTP/1.1" or not (code.isascii() and code.isdigit()) or len(code) != 3:
        raise BadAnswer("The server does not speak QVD: is this the right port?")
    status = int(code)
    if status < 100 or rest[3:4] not in {"", " "}:
        raise BadAnswer("The server's answer has no status.")
    headers: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon:
            raise BadAnswer("The server's answer has a broken header.")
        headers[name.strip().lower()] = value.strip()
    return status, headers


def _content_length(headers: Mapping[str, str]) -> int:
    text = headers.get("content-length", "0")
    if not (text.isascii() and text.isdigit()) or len(text) > 9 or int(text) > BODY_BYTES_MAX:
        raise BadAnswer("The server's answer is too long to be QVD's.")
    return int(text)
