"""Tells requests of this node's own pages from those that another site makes a browser send. Pure.

A browser adds its cookies to a request whoever caused it. What caused it stands in headers that a
page cannot set: `Sec-Fetch-Site`, or `Origin` in browsers without it.
"""

from typing import Final

SAME_ORIGIN: Final = "same-origin"


def is_same_origin(site: str | None, origin: str | None, host: str) -> bool:
    """Whether a page of this node sent the request.

    `site` is the header `Sec-Fetch-Site`, `origin` is `Origin`, `host` is `Host`. Without either of
    the first two the answer is no: every browser sends one of them with a request that writes.
    """
    if site is not None:
        return site == SAME_ORIGIN
    return bool(host) and origin is not None and origin.lower() == f"https://{host}".lower()
