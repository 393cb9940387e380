"""What a page is told at the end: try again by itself, or wait for the user."""

import pytest

from qvdnode.desk.core import endings
from qvdnode.model.errors import Forbidden, NodeFull, Throttled, Unavailable


@pytest.mark.parametrize(
    ("reason", "code", "again"),
    [
        ("a newer connection took over", endings.TAKEN_OVER, False),
        ("the client disconnected", endings.LOST, True),
        ("the desktop's display was lost", endings.LOST, True),
        ("the node is stopping", endings.STOPPING, True),
        ("This node is stopping; connect again in a moment.", endings.STOPPING, True),
        ("the desktop closed its display", endings.ENDED, False),
        ("disconnected by an administrator", endings.ENDED, False),
    ],
)
def test_the_end_of_a_stream(reason: str, code: str, again: bool) -> None:
    ending = endings.of_stream(reason)
    assert (ending.code, ending.again) == (code, again)
    assert ending.sentence.endswith(".")


def test_only_what_may_pass_by_itself_is_tried_again() -> None:
    assert endings.of_error(Unavailable("The database is away.")).again
    assert not endings.of_error(Forbidden("No.")).again
    assert not endings.of_error(NodeFull("Full.")).again
    assert not endings.of_error(Throttled("Slowly.", retry_after_s=1.0)).again
