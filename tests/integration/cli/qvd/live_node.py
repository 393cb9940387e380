"""Where a node of the test serves REST."""

from dataclasses import dataclass


@dataclass(frozen=True)
class LiveNode:
    """What a person needs to log in."""

    url: str
    fingerprint: str
    token: str
