"""The parameters file of the session script: one KEY=hex line each.

Values are hexadecimal so that no quoting, newline or shell character can ever matter to the POSIX
script that reads them. docs/protocol/session-script.md lists the keys.
"""

import re
from collections.abc import Mapping
from typing import Final

from qvdnode.model.errors import Invalid

KEY: Final = re.compile(r"[A-Z][A-Za-z0-9_]{0,63}\Z")
VALUE_MAX: Final = 4096
"""Bytes of one value; beyond it something is wrong, not long."""
LINES_MAX: Final = 256
CUSTOM_NAME_MAX: Final = 50
CUSTOM_VALUE_MAX: Final = 1000
"""Characters of what a client says for the guest's hooks."""


def encode(params: Mapping[str, str]) -> bytes:
    """The file's content, keys in order; raises Invalid on a key or value that may not be."""
    if len(params) > LINES_MAX:
        raise Invalid(f"a session takes at most {LINES_MAX} parameters, not {len(params)}")
    return b"".join(_line(key, params[key]) for key in sorted(params))


def custom_key(name: str) -> str:
    """The key of a client's own parameter: what a shell's names cannot hold becomes `_`."""
    return f"CUSTOM_{re.sub(r'[^A-Za-z0-9_]', '_', name)[:CUSTOM_NAME_MAX]}"


def decode(content: bytes) -> dict[str, str]:
    """The parameters of a file's content; raises Invalid where it is not one of ours."""
    lines = content.split(b"\n")
    if lines.pop() != b"":
        raise Invalid("the parameters end in the middle of a line")
    if len(lines) > LINES_MAX:
        raise Invalid(f"more than {LINES_MAX} parameters")
    params: dict[str, str] = {}
    for line in lines:
        key, value = _split(line)
        if key in params:
            raise Invalid(f"the parameter {key} stands there twice", field=key)
        params[key] = value
    return params


def _line(key: str, value: str) -> bytes:
    if KEY.match(key) is None:
        raise Invalid(f"{key!r} is not a name of a session parameter", field=key)
    raw = value.encode("utf-8", errors="surrogatepass")
    if len(raw) > VALUE_MAX:
        raise Invalid(f"the session parameter {key} is over {VALUE_MAX} bytes", field=key)
    if b"\0" in raw:
        # A shell variable cannot hold it: what follows would vanish without a word.
        raise Invalid(f"the session parameter {key} holds a zero byte", field=key)
    return b"%s=%s\n" % (key.encode("ascii"), raw.hex().encode("ascii"))


def _split(line: bytes) -> tuple[str, str]:
    name, found, digits = line.partition(b"=")
    key = name.decode("ascii", errors="replace")
    if not found or KEY.match(key) is None:
        raise Invalid("a line of the parameters is not KEY=hex")
    if len(digits) > 2 * VALUE_MAX or re.fullmatch(rb"(?:[0-9a-f]{2})*", digits) is None:
        raise Invalid(f"the value of {key} is not hexadecimal", field=key)
    try:
        return key, bytes.fromhex(digits.decode("ascii")).decode("utf-8", errors="surrogatepass")
    except UnicodeDecodeError as error:
        raise Invalid(f"the value of {key} is not UTF-8", field=key) from error
