"""The headers of every answer of the admin port."""

from typing import Final

from aiohttp import web

CORRELATION_HEADER: Final = "X-Correlation-ID"
HEADERS: Final = {
    "Cache-Control": "no-store",
    # One year, as usual: the port has never served anything but TLS. Without includeSubDomains,
    # because other hosts below this name may not be ours. Browsers apply it only if they trust the
    # certificate, so not with the node's own self-signed one.
    "Strict-Transport-Security": "max-age=31536000",
    # An answer of this API is data: it loads nothing and no page may show it in a frame.
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "X-Frame-Options": "DENY",  # for browsers that do not know frame-ancestors
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    # A page of another origin can neither read nor embed an answer.
    "Cross-Origin-Resource-Policy": "same-origin",
    "Server": "qvdnode",
}


OWN_OF_FILES: Final = ("Cache-Control", "Content-Security-Policy")
"""Headers that a page or a file has its own values of."""


def set_headers(response: web.StreamResponse, correlation: str) -> None:
    """Set the headers on an answer whose head has not been sent."""
    own = {name: response.headers[name] for name in OWN_OF_FILES if name in response.headers}
    response.headers.update(HEADERS)
    response.headers.update(own)
    response.headers[CORRELATION_HEADER] = correlation
