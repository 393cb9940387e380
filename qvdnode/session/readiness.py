"""Whether this node can start desktops, and if not, why; asked by /readyz and /qvd/ping."""

from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(slots=True)
class Readiness:
    """Collects the parts that may stand in the way of a start."""

    serving: bool = False
    """Whether the node has adopted what runs and can reach it."""
    checks: list[Callable[[], str | None]] = field(default_factory=list)
    """Each gives a sentence while its part is in the way, None when it is not."""

    def reason(self) -> str | None:
        """The first thing in the way, or None."""
        if not self.serving:
            return "The node is starting or stopping."
        return next((reason for check in self.checks if (reason := check()) is not None), None)
