from dataclasses import replace

import pytest

from qvdnode.model.desktop import SessionEnd
from qvdnode.model.vm_state import DisplayState, WireState

OPEN = SessionEnd(WireState.RUNNING, DisplayState.CONNECTED, viewer=False, because="", failed=False)


@pytest.mark.parametrize(
    ("end", "known"),
    [
        (OPEN, False),
        (replace(OPEN, display=DisplayState.SUSPENDING), False),
        (replace(OPEN, display=DisplayState.SUSPENDED), True),
        (replace(OPEN, viewer=True), True),
        (replace(OPEN, because="You logged out."), True),
    ],
)
def test_an_end_is_known_once_the_display_has_told(end: SessionEnd, known: bool) -> None:
    assert end.is_known is known
