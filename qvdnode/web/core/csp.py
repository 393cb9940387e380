"""The Content-Security-Policy of a page: what a browser may load and run in it. Pure."""

import base64
import hashlib
import re
from typing import Final

IMPORT_MAP: Final = re.compile(r'<script type="importmap">(.*?)</script>', re.DOTALL)
"""The one inline script that a page may have; its text gets a hash in the policy."""
BASE: Final = (
    "default-src 'none'",
    "style-src 'self'",
    "img-src 'self' data:",
    "font-src 'self'",
    "connect-src 'self'",
    "manifest-src 'self'",
    "base-uri 'none'",
    "form-action 'self'",
    "frame-ancestors 'none'",
)
TRUSTED_TYPES: Final = ("require-trusted-types-for 'script'", "trusted-types 'none'")
"""The browser refuses to make HTML or a script out of text."""


def page_policy(html: str, *, trusted_types: bool) -> str:
    """Return the policy of a page with this text: its own files, and nothing inline."""
    scripts = ["'self'", *(f"'sha256-{_digest(text)}'" for text in IMPORT_MAP.findall(html))]
    parts = [f"script-src {' '.join(scripts)}", *BASE]
    return "; ".join([*parts, *(TRUSTED_TYPES if trusted_types else ())])


def _digest(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
