import pytest

from qvdnode.model.plurals import counted, verb


def test_entries_are_not_entrys() -> None:
    assert (counted(1, "entry"), counted(2, "entry"), counted(2, "day")) == (
        "1 entry",
        "2 entries",
        "2 days",
    )


@pytest.mark.parametrize(
    ("number", "said"), [(0, "0 desktops wait"), (1, "1 desktop waits"), (2, "2 desktops wait")]
)
def test_nouns_and_verbs_go_with_the_number(number: int, said: str) -> None:
    assert f"{counted(number, 'desktop')} {verb(number, 'wait')}" == said
