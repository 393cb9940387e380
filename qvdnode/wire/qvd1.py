"""The request heads of QVD clients: bytes in, one parsed head out. No I/O.

Written for the clients that exist (docs/protocol/qvd-wire.md): a line may end in CRLF or in a bare
LF, no Host is asked for, `?` may be followed by nothing, names of headers come in any case.
Everything else is refused with the status that the client is to see.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

HEAD_BYTES_MAX: Final = 16 * 1024
"""The longest head of a client in the field is about 1.5 KiB."""
HEADER_LINES_MAX: Final = 64
PIPELINED_BYTES_MAX: Final = 32 * 1024
"""What may wait behind a head while it is being answered."""

VERSION: Final = b"HTTP/1.1"
_HEAD_END: Final = re.compile(rb"\r?\n\r?\n")
_LINE_END: Final = re.compile(rb"\r?\n")
_BLANK_LINES: Final = re.compile(rb"(?:\r?\n)+")
_TOKEN: Final = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_TARGET: Final = re.compile(rb"/[!-~]*")
_VALUE_REFUSED: Final = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
_VERSION_SHAPE: Final = re.compile(rb"[A-Z]+/[0-9]+(\.[0-9]+)?")
_STRAY_PERCENT: Final = re.compile(r"%(?![0-9A-Fa-f]{2})")
_PERCENT_RUN: Final = re.compile(r"(?:%[0-9A-Fa-f]{2})+")


class BadHead(Exception):
    """The bytes are not a request of this protocol; `status` is the answer, the text its body."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True, slots=True)
class RequestHead:
    """One request; these requests have no body."""

    path: str
    query: tuple[tuple[str, str], ...]
    """Decoded pairs in the order of the request."""
    headers: Mapping[str, str]
    """By lower-case name; the last of equal names counts."""

    @property
    def wants_close(self) -> bool:
        """Whether the client asked for the connection to end after the answer."""
        return "close" in self.headers.get("connection", "").lower()


class HeadParser:
    """Collects bytes and gives heads one at a time; what follows a head is kept."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._searched = 0

    def feed(self, data: bytes) -> None:
        """Take more bytes; raises BadHead when more wait than any client has to send."""
        self._buffer += data
        if len(self._buffer) > HEAD_BYTES_MAX + PIPELINED_BYTES_MAX:
            raise BadHead(400, "Too much was sent before the answer.")

    def next_head(self) -> RequestHead | None:
        """The next whole head, or None until more bytes come; raises BadHead."""
        self._skip_blank_lines()
        if not self._buffer:
            return None
        # The end may straddle what was searched before by at most three bytes.
        end = _HEAD_END.search(self._buffer, max(0, self._searched - 3))
        length = len(self._buffer) if end is None else end.end()
        if length > HEAD_BYTES_MAX:
            raise BadHead(400, f"The request head is longer than {HEAD_BYTES_MAX} bytes.")
        if end is None:
            self._searched = len(self._buffer)
            return None
        head = parse_head(bytes(self._buffer[: end.start()]))
        del self._buffer[: end.end()]
        self._searched = 0
        return head

    def take_rest(self) -> bytes:
        """Give up the bytes that follow the last head: after 101 they are the stream's."""
        rest = bytes(self._buffer)
        self._buffer.clear()
        self._searched = 0
        return rest

    @property
    def waiting_bytes(self) -> int:
        """How much has been taken and not yet given out."""
        return len(self._buffer)

    def _skip_blank_lines(self) -> None:
        # RFC 9112, 2.2: blank lines before a request line are to be ignored.
        blank = _BLANK_LINES.match(self._buffer)
        if blank is not None:
            del self._buffer[: blank.end()]
            self._searched = 0


def parse_head(head: bytes) -> RequestHead:
    """A head without its last blank line; raises BadHead."""
    request_line, *lines = _LINE_END.split(head)
    path, query = _request_line(request_line)
    if len(lines) > HEADER_LINES_MAX:
        raise BadHead(400, f"The request has more than {HEADER_LINES_MAX} header lines.")
    headers = dict(map(_header, lines))
    if headers.get("content-length", "0").strip() != "0" or "transfer-encoding" in headers:
        raise BadHead(400, "A request with a body is not understood here.")
    return RequestHead(path, query, headers)


def _request_line(line: bytes) -> tuple[str, tuple[tuple[str, str], ...]]:
    parts = line.split(b" ")
    if len(parts) != 3:
        raise BadHead(400, "The request line is malformed.")
    method, target, version = parts
    if version != VERSION:
        if _VERSION_SHAPE.fullmatch(version):
            raise BadHead(505, "Only HTTP/1.1 is spoken here.")
        raise BadHead(400, "The request line is malformed.")
    if method != b"GET":
        raise BadHead(400, "Only GET requests are understood here.")
    if not _TARGET.fullmatch(target):
        raise BadHead(400, "The request's path is malformed.")
    path, _, query = target.decode("ascii").partition("?")
    return _decode(path), _query(query)


def _query(text: str) -> tuple[tuple[str, str], ...]:
    pairs = (pair.partition("=") for pair in text.split("&") if pair)
    # A plus stays a plus: Qt sends time zones such as Etc/GMT+5 as they are, a space is always %20.
    return tuple((_decode(key), _decode(value)) for key, _, value in pairs)


def _decode(text: str) -> str:
    if "%" not in text:
        return text
    if _STRAY_PERCENT.search(text):
        raise BadHead(400, "The request holds a broken percent escape.")
    try:
        return _PERCENT_RUN.sub(_unescape, text)
    except UnicodeDecodeError as error:
        raise BadHead(400, "The request holds an escape that is not UTF-8.") from error


def _unescape(run: re.Match[str]) -> str:
    return bytes.fromhex(run[0].replace("%", "")).decode("utf-8")


def _header(line: bytes) -> tuple[str, str]:
    name, colon, value = line.partition(b":")
    if not colon or not _TOKEN.fullmatch(name) or _VALUE_REFUSED.search(value):
        raise BadHead(400, "A header line is malformed.")
    return name.decode("ascii").lower(), value.strip(b" \t").decode("latin-1")
