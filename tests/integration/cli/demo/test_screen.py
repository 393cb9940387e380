"""The display on which a demo shows its desktop when there is no other."""

import os
import socket

import pytest

from qvdnode.cli.demo.screen import must_be_usable, screen
from qvdnode.client.x11_link import X11Link, local_number
from qvdnode.wire import x11
from tests.harness.stranger import as_stranger


def refused_without_cookie(display: str) -> None:
    """Greet the X server as whoever runs this, without a cookie, and be refused."""
    with socket.socket(socket.AF_UNIX) as dialled:
        dialled.settimeout(10)
        dialled.connect(f"/tmp/.X11-unix/X{local_number(display)}")
        dialled.sendall(x11.setup_request(None))
        answer = dialled.recv(1)
    assert answer == b"\0", "it was let in"


@pytest.mark.parametrize("before", [None, "/nowhere/.Xauthority"])
async def test_no_other_user_of_the_host_sees_it(
    monkeypatch: pytest.MonkeyPatch, before: str | None
) -> None:
    """Any of them could look at the desktop, and type, otherwise."""
    if before is None:
        monkeypatch.delenv("XAUTHORITY", raising=False)
    else:
        monkeypatch.setenv("XAUTHORITY", before)
    async with screen(None) as shown, X11Link(shown.display):
        refused_without_cookie(shown.display)
        await must_be_usable(shown.display)  # which lets in our own user
        as_stranger(lambda: refused_without_cookie(shown.display))
    assert os.environ.get("XAUTHORITY") == before
