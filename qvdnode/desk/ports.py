"""What a desktop in the browser needs of the page's end. Met by admin/routes/my_screen.py."""

from typing import Protocol


class Page(Protocol):
    """A page's end of a WebSocket."""

    async def tell(self, message: str) -> None:
        """Send a control message; returns when there is room for more. Raises OSError."""
        ...

    async def send(self, data: bytes) -> None:
        """Send bytes of RFB; returns when there is room for more. Raises OSError."""
        ...

    async def receive(self) -> bytes | str | None:
        """The next bytes of RFB or control message; None when the page has gone."""
        ...

    async def logged_out(self) -> None:
        """Wait for the end of the login; raises Unauthenticated or Forbidden then."""
        ...


class Browser(Page, Protocol):
    """The end of a page that shows a desktop."""
