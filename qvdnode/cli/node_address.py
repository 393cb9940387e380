"""From what a person types to a node's URL and pin."""

import re
from typing import Final
from urllib.parse import urlsplit

from qvdnode.model.errors import Invalid

ADMIN_PORT: Final = 8444
PIN: Final = re.compile(r"[0-9a-f]{64}")


def parse_url(text: str) -> str:
    """`https://host:port` from a URL, `host` or `host:port`; raises Invalid."""
    whole = text if "://" in text else f"https://{text}"
    try:
        parts = urlsplit(whole)
        host, port = parts.hostname, parts.port or ADMIN_PORT
    except ValueError as error:
        raise Invalid(f"{text} is not an address: {error}.", field="url") from error
    if parts.scheme != "https":
        raise Invalid("Only https is spoken: https://NODE:8444", field="url")
    if not host or parts.path.strip("/") or parts.query or parts.username is not None:
        raise Invalid("Give the node as https://NODE:8444", field="url")
    return f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}"


def parse_fingerprint(text: str) -> str:
    """`SHA256:` and 64 hex digits, from that with or without prefix, colons and case."""
    digits = text.strip()
    if digits.lower().startswith("sha256:"):
        digits = digits[len("sha256:") :]
    digits = digits.replace(":", "").lower()
    if not PIN.fullmatch(digits):
        raise Invalid("A fingerprint is SHA256: and 64 hex digits.", field="fingerprint")
    return f"SHA256:{digits}"


def digest_of(fingerprint: str) -> bytes:
    """The 32 bytes of a fingerprint; raises Invalid."""
    return bytes.fromhex(parse_fingerprint(fingerprint).removeprefix("SHA256:"))


def split_address(url: str) -> tuple[str, int]:
    """Host and port of a URL that `parse_url` made."""
    parts = urlsplit(url)
    return parts.hostname or "", parts.port or ADMIN_PORT
