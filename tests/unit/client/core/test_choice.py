"""A person names a desktop, or has only one."""

import pytest

from qvdnode.client.core.choice import choose
from qvdnode.model.desktop import DesktopEntry
from qvdnode.model.errors import Invalid, NotFound
from qvdnode.model.ids import VmId
from qvdnode.model.vm_state import WireState


def desk(number: int, name: str) -> DesktopEntry:
    return DesktopEntry(VmId(number), name, WireState.STOPPED, blocked=False, is_application=False)


TWO = (desk(7, "desk"), desk(8, "lab"))


def test_the_only_one_needs_no_name() -> None:
    assert choose(TWO[:1], None).id == 7


def test_several_are_told_by_name_and_number() -> None:
    with pytest.raises(Invalid, match=r"desk \(7\), lab \(8\)"):
        choose(TWO, None)


@pytest.mark.parametrize("wish", ["lab", "8"])
def test_name_or_number_chooses(wish: str) -> None:
    assert choose(TWO, wish).id == 8


def test_a_name_wins_over_a_number() -> None:
    assert choose((desk(7, "8"), desk(8, "lab")), "8").id == 7


def test_equal_names_want_the_number() -> None:
    twins = (desk(7, "desk"), desk(9, "desk"))
    with pytest.raises(Invalid, match="give the number"):
        choose(twins, "desk")
    assert choose(twins, "9").id == 9


def test_what_is_not_there_is_said_with_what_is() -> None:
    with pytest.raises(NotFound, match=r"there is desk \(7\)"):
        choose(TWO[:1], "other")
    with pytest.raises(NotFound, match="no desktop here"):
        choose((), None)
