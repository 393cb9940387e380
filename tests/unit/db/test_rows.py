"""What an answer must hold."""

import pytest

from qvdnode.db.rows import changed, found, row_count
from qvdnode.model.errors import NotFound


@pytest.mark.parametrize(("tag", "count"), [("UPDATE 1", 1), ("DELETE 0", 0), ("INSERT 0 3", 3)])
def test_a_tag_tells_how_many_rows(tag: str, count: int) -> None:
    assert row_count(tag) == count


def test_nothing_found_is_named() -> None:
    with pytest.raises(NotFound, match="There is no VM 7"):
        found(None, "VM", 7)
    with pytest.raises(NotFound, match="There is no VM 7"):
        changed("UPDATE 0", "VM", 7)


def test_something_changed_is_fine() -> None:
    changed("UPDATE 1", "VM", 7)
