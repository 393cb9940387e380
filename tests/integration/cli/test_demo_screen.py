"""The display on which a demo shows its desktop when there is no other."""

import os

import pytest

from qvdnode.cli.demo_screen import must_be_usable, screen
from qvdnode.client.x11_link import X11Link
from qvdnode.model.errors import Unavailable


@pytest.mark.parametrize("before", [None, "/nowhere/.Xauthority"])
async def test_only_who_has_the_cookie_sees_it(
    monkeypatch: pytest.MonkeyPatch, before: str | None
) -> None:
    """Any user of the host could look at the desktop, and type, otherwise."""
    if before is None:
        monkeypatch.delenv("XAUTHORITY", raising=False)
    else:
        monkeypatch.setenv("XAUTHORITY", before)
    # The link keeps the server, which would start anew when the last one is gone.
    async with screen(None) as shown, X11Link(shown.display):
        await must_be_usable(shown.display)
        with monkeypatch.context() as stranger:
            stranger.setenv("XAUTHORITY", "/nowhere/else")
            with pytest.raises(Unavailable):
                await must_be_usable(shown.display)
    assert os.environ.get("XAUTHORITY") == before
