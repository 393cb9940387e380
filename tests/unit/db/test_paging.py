"""Pages of rows."""

from typing import Any

import pytest

from qvdnode.db.paging import limit_of, listing
from qvdnode.model.listing import Listing, Page


@pytest.mark.parametrize(
    ("ids", "shown", "next_after"),
    [([], (), None), ([1, 2], (1, 2), None), ([1, 2, 3], (1, 2), 2)],
)
def test_a_row_too_many_means_another_page(
    ids: list[int], shown: tuple[int, ...], next_after: int | None
) -> None:
    page = Page(limit=2)
    rows: list[Any] = [{"id": number} for number in ids]
    assert len(rows) <= limit_of(page)
    assert listing(rows, page, lambda row: row["id"]) == Listing(shown, next_after)
