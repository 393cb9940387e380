import pytest

from qvdnode.model.listing import PAGE_SIZE_MAX, Page


@pytest.mark.parametrize("limit", [0, -1, PAGE_SIZE_MAX + 1])
def test_a_page_has_a_sane_size(limit: int) -> None:
    with pytest.raises(ValueError, match=r"limit must be 1\.\.1000"):
        Page(limit=limit)


@pytest.mark.parametrize("limit", [1, PAGE_SIZE_MAX])
def test_the_bounds_themselves_are_fine(limit: int) -> None:
    assert Page(limit=limit).limit == limit
