import pytest
import typer

from qvdnode.cli.number_options import at_least, whole


@pytest.mark.parametrize(("text", "number"), [("1", 1), ("9", 9), (" 7 ", 7), (5, 5)])
def test_numbers_within_their_bounds_are_taken(text: object, number: int) -> None:
    assert whole(1, 9)(text) == number


@pytest.mark.parametrize(
    ("text", "said"),
    [("0", "must be 1 to 9."), ("10", "must be 1 to 9."), ("x", "must be a whole number, 1 to 9.")],
)
def test_what_does_not_fit_is_told_with_the_bounds(text: str, said: str) -> None:
    with pytest.raises(typer.BadParameter) as caught:
        whole(1, 9)(text)
    assert caught.value.message == said


@pytest.mark.parametrize("text", ["-1", "nan", "", "1,5"])
def test_a_number_without_an_upper_bound(text: str) -> None:
    assert at_least(0)("0.5") == 0.5
    with pytest.raises(typer.BadParameter, match="0 or more"):
        at_least(0)(text)
