import pytest

from qvdnode.model.errors import GuestFailed
from qvdnode.vm.core import sentences
from qvdnode.vm.core.desktop_end import YOUNG_S, end_reason, program_failure
from qvdnode.vm.core.lifecycle import GuestEvent


@pytest.mark.parametrize(
    ("code", "lasted_s", "sentence"),
    [
        (126, 0.0, sentences.PROGRAM_MISSING.format(code=126)),
        (127, 2.0, sentences.PROGRAM_MISSING.format(code=127)),
        (3, 2.0, sentences.PROGRAM_FAILED.format(code=3, lasted_s=2.0)),
        (0, 2.0, None),
        (None, 2.0, None),
        (143, 2.0, None),  # somebody sent SIGTERM
        (127, YOUNG_S, None),  # the last command of a shell
        (127, None, None),  # adopted: nobody knows when it began
    ],
)
def test_an_exit_code_tells_a_failure_from_a_logout(
    code: int | None, lasted_s: float | None, sentence: str | None
) -> None:
    assert program_failure(code, lasted_s) == sentence


@pytest.mark.parametrize(
    ("event", "sentence"),
    [
        (GuestEvent.DISPLAY_DIED, "You logged out; the desktop has ended."),
        (GuestEvent.STOP_ASKED, "The desktop was stopped."),
        (
            GuestEvent.LEASE_LOST,
            "The desktop was ended: this node may not run the desktop any more.",
        ),
    ],
)
def test_an_end_has_a_sentence_for_its_user(event: GuestEvent, sentence: str) -> None:
    assert end_reason(event, None) == sentence
    assert end_reason(event, GuestFailed("It crashed.", step="guest")) == "It crashed."
