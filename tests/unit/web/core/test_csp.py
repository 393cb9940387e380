"""What the policy of a page allows."""

import base64
import hashlib

from hypothesis import given
from hypothesis import strategies as st

from qvdnode.web.core.csp import page_policy

MAP = '{"imports":{"a":"/assets/1/a.js"}}'


def parts(policy: str) -> dict[str, str]:
    """Each directive with what it allows."""
    return {name: rest for name, _, rest in (part.partition(" ") for part in policy.split("; "))}


def test_a_page_loads_its_own_files_and_nothing_else() -> None:
    found = parts(page_policy("<html></html>", trusted_types=True))
    assert found["default-src"] == "'none'"
    assert found["script-src"] == found["style-src"] == found["connect-src"] == "'self'"
    assert found["base-uri"] == found["frame-ancestors"] == "'none'"
    assert found["require-trusted-types-for"] == "'script'"
    assert "unsafe" not in str(found)


def test_the_import_map_is_allowed_by_its_digest() -> None:
    html = f'<script type="importmap">{MAP}</script><script>alert(1)</script>'
    digest = base64.b64encode(hashlib.sha256(MAP.encode()).digest()).decode()
    assert parts(page_policy(html, trusted_types=True))["script-src"] == f"'self' 'sha256-{digest}'"


def test_a_page_may_do_without_trusted_types() -> None:
    assert "trusted-types" not in page_policy("", trusted_types=False)


@given(st.text())
def test_no_text_of_a_page_adds_a_directive(html: str) -> None:
    names = parts(page_policy(html, trusted_types=True)).keys()
    assert names == parts(page_policy("", trusted_types=True)).keys()
