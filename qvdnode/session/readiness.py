"""Whether this node can start desktops, and if not, why; asked by /readyz and /qvd/ping."""

from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(slots=True)
class Readiness:
    """Collects the checks that must pass before a desktop can be started."""

    serving: bool = False
    """Whether the node has adopted what runs and can reach it."""
    checks: list[Callable[[], str | None]] = field(default_factory=list)
    """Each returns why no desktop can be started, as a sentence, or None."""

    def reason(self) -> str | None:
        """The sentence of the first check that fails, or None."""
        if not self.serving:
            return "The node is starting or stopping."
        return next((reason for check in self.checks if (reason := check()) is not None), None)
