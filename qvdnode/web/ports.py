"""Where the changes that pages are told of come from; db/ implements it."""

from typing import Protocol

from qvdnode.model.change import Change


class ChangeSink(Protocol):
    """What a source of changes reports to."""

    def begun(self) -> None:
        """From now on no change is missed."""
        ...

    def deliver(self, change: Change) -> None:
        """There was a change."""
        ...

    def is_wanted(self) -> bool:
        """Whether anybody still wants to know; asked every few seconds."""
        ...


class ChangeSource(Protocol):
    """Where changes come from."""

    async def listen(self, sink: ChangeSink) -> None:
        """Deliver each change of the farm while it is wanted.

        Raises Unavailable when the connection is lost.
        """
        ...
