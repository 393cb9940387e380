"""Limits of a relayed stream."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RelaySettings:
    """How long a relay waits for each of its two sides."""

    greeting_limit_s: float = 20.0
    """Time from the 101 to the client's complete NX greeting."""
    dial_limit_s: float = 5.0
    """Time for the guest's display to accept the connection."""
    rest_limit_s: float = 5.0
    """Time for the last bytes of one side after the other side has closed."""
    silence_limit_s: float = 90.0
    """How long a side may acknowledge or read nothing before its connection is closed."""

    def __post_init__(self) -> None:
        """Raise ValueError for limits that would end healthy streams or keep dead ones."""
        for name in ("greeting_limit_s", "dial_limit_s", "rest_limit_s", "silence_limit_s"):
            if not 0.1 <= getattr(self, name) <= 600:
                raise ValueError(f"{name} must be 0.1..600 seconds")
