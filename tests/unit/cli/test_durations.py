"""Times on the command line."""

import pytest
import typer

from qvdnode.cli.durations import seconds


@pytest.mark.parametrize(
    ("text", "found"),
    [(0, 0), ("90", 90), ("90s", 90), ("30m", 1_800), ("8h", 28_800), ("3d", 259_200)],
)
def test_a_time_has_a_number_and_a_unit(text: object, found: int) -> None:
    assert seconds(text) == found


@pytest.mark.parametrize("text", ["", "h", "1.5h", "-3d", "3 days"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(typer.BadParameter, match="must be a time"):
        seconds(text)
