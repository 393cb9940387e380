"""Which requests are those of this node's own pages."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qvdnode.web.core.same_origin import is_same_origin

HOST = "desk1.example:8444"
OWN = f"https://{HOST}"


@pytest.mark.parametrize(
    ("site", "origin", "expected"),
    [
        ("same-origin", OWN, True),
        ("same-origin", None, True),
        ("cross-site", "https://evil.example", False),
        ("same-site", "https://other.example:8444", False),
        ("none", None, False),
        ("cross-site", OWN, False),
        (None, OWN, True),
        (None, OWN.upper(), True),
        (None, "https://desk1.example", False),
        (None, f"http://{HOST}", False),
        (None, "null", False),
        (None, "", False),
        (None, None, False),
    ],
)
def test_a_request_is_told_by_its_headers(
    site: str | None, origin: str | None, *, expected: bool
) -> None:
    assert is_same_origin(site, origin, HOST) is expected


def test_without_a_host_there_is_no_own_origin() -> None:
    assert not is_same_origin(None, "https://", "")


@given(st.text(), st.text())
def test_another_origin_is_never_ours(site: str, origin: str) -> None:
    if site != "same-origin":
        assert not is_same_origin(site, OWN, HOST)
    if origin.lower() != OWN:
        assert not is_same_origin(None, origin, HOST)
