"""Headers of every answer of the administrators' port, whoever makes it."""

from typing import Final

from aiohttp import web

CORRELATION_HEADER: Final = "X-Correlation-ID"
HEADERS: Final = {
    "Cache-Control": "no-store",
    # A year, what lists of sites ask for: the port has never spoken anything but TLS. Without
    # includeSubDomains, since other hosts below this name are not ours. Browsers heed it only
    # where they trust the certificate, so not with the node's own, self-signed one.
    "Strict-Transport-Security": "max-age=31536000",
    # An answer of this API is data: it loads nothing, is shown in no frame, names no referrer.
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "X-Frame-Options": "DENY",  # for browsers that do not know frame-ancestors
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Server": "qvdnode",
}


def set_headers(response: web.StreamResponse, correlation: str) -> None:
    """Put them on an answer whose head has not been sent."""
    response.headers.update(HEADERS)
    response.headers[CORRELATION_HEADER] = correlation
