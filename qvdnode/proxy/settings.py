"""Limits of a relayed stream."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RelaySettings:
    """How long a relay waits for each of its ends."""

    greeting_limit_s: float = 20.0
    """From the 101 to the client's whole NX greeting."""
    dial_limit_s: float = 5.0
    """For the guest's display to accept the connection."""
    rest_limit_s: float = 5.0
    """For what one end still says after the other has finished."""
    silence_limit_s: float = 90.0
    """For an end that acknowledges nothing, or takes nothing, before it counts as gone."""

    def __post_init__(self) -> None:
        """Refuse limits that would cut healthy streams or keep dead ones."""
        for name in ("greeting_limit_s", "dial_limit_s", "rest_limit_s", "silence_limit_s"):
            if not 0.1 <= getattr(self, name) <= 600:
                raise ValueError(f"{name} must be 0.1..600 seconds")
