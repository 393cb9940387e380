"""Parses what precedes TLS on a new connection: a PROXY head from a trusted balancer, or nothing.

Pure.
"""

from typing import Final

from qvdnode.wire.proxy_protocol import BadProxyHead, is_proxy_head, parse_proxy_head

UNEXPECTED: Final = "proxy_head_unexpected"
MISSING: Final = "proxy_head_missing"
BAD: Final = "proxy_head_bad"


class BadStart(ValueError):
    """The connection must be closed; the message is for the log."""

    def __init__(self, event: str, because: str) -> None:
        super().__init__(because)
        self.event = event
        """Name of the log event."""


class FirstBytes:
    """Parses the first bytes of one connection."""

    __slots__ = ("_behind_proxy", "_waiting")

    def __init__(self, *, behind_proxy: bool) -> None:
        self._behind_proxy = behind_proxy
        self._waiting = b""

    def receive(self, data: bytes) -> tuple[str, bytes] | None:
        """Return the client's address and the first bytes of TLS; None until the head is complete.

        The address is empty if the client is the TCP peer itself. Raises BadStart.
        """
        if not self._behind_proxy:
            if is_proxy_head(data):
                raise BadStart(
                    UNEXPECTED,
                    "a PROXY protocol head from an address that is not in proxy_protocol_from",
                )
            return "", data
        self._waiting += data
        try:
            head = parse_proxy_head(self._waiting)
        except BadProxyHead as error:
            if is_proxy_head(self._waiting):
                raise BadStart(BAD, f"the PROXY protocol head is invalid: {error}") from error
            raise BadStart(
                MISSING,
                "no PROXY protocol head from an address in proxy_protocol_from: let the balancer"
                " send one, or take the address out",
            ) from error
        return None if head is None else (head.source, self._waiting[head.length :])
