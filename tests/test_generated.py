"""The pages drawn from the code are those in docs/."""

import pytest

from docs.generate import FOLDER, PAGES, content


@pytest.mark.parametrize("page", sorted(PAGES))
def test_the_page_is_what_the_code_says(page: str) -> None:
    assert (FOLDER / page).read_text(encoding="utf-8") == content(page), (
        f"docs/{page} is stale: run `make docs` and commit it"
    )
