"""What a guest's life and its display need of the actor, which deals with people."""

from collections.abc import Callable
from typing import Protocol

from qvdnode.model.errors import FarmError


class Company(Protocol):
    """Those who have to do with the VM."""

    def post(self, message: Callable[[], None]) -> None:
        """Have a message handled after those that came before."""
        ...

    def tell(self, sentence: str) -> None:
        """Show whoever waits what is going on."""
        ...

    def evict(self, reason: str) -> None:
        """Close the stream of the attached client, if there is one."""
        ...

    def refuse(self, error: FarmError) -> None:
        """Whoever waits now will not get what they wait for."""
        ...

    def answer(self) -> None:
        """Answer those who waited for the state that was entered."""
        ...
