"""Whatever comes in as JSON, the answer is one the document foresees, and never a 500."""

from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from qvdnode.admin.endpoint import EVENT_STREAM
from qvdnode.admin.endpoints import ENDPOINTS
from qvdnode.admin.reading import NoBody
from tests.integration.admin.checked_api import CheckedApi

WITH_BODY = [endpoint for endpoint in ENDPOINTS if endpoint.body is not NoBody]
READING = [row for row in ENDPOINTS if row.method == "GET" and row.answer_media != EVENT_STREAM]
"""Without the stream of events, which has no end."""
FIELDS = sorted({name for endpoint in WITH_BODY for name in endpoint.body.model_fields})

plain = (
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8"), max_size=20)
    | st.sampled_from(["default", "icewm", "office", "alice", "a\x00b", "/bin/sh", "1", ""])
)
values = plain | st.lists(plain, max_size=2) | st.dictionaries(st.text(max_size=3), plain)
bodies = st.dictionaries(st.sampled_from(FIELDS), values, max_size=6) | values


def good(name: str) -> Any:
    """A value that fits, so that what is odd gets past the first check now and then."""
    return {
        "tenant_id": 1,
        "user_id": 1,
        "flavour_id": 1,
        "version": 1,
        "blocked": False,
        "image": "icewm",
    }.get(name, "abc")


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
async def test_no_body_gives_a_500(api: CheckedApi, data: st.DataObject) -> None:
    endpoint = data.draw(st.sampled_from(WITH_BODY))
    body = data.draw(bodies)
    if isinstance(body, dict) and data.draw(st.booleans()):
        needed = [name for name, info in endpoint.body.model_fields.items() if info.is_required()]
        body = {**{name: good(name) for name in needed}, **body}
        body = {name: value for name, value in body.items() if name in endpoint.body.model_fields}
    path = endpoint.path.replace("{id}", "1").replace("{name}", "icewm")
    said = await api.call(endpoint.method, path, body)
    assert said.status < 500


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
async def test_no_query_gives_a_500(api: CheckedApi, data: st.DataObject) -> None:
    endpoint = data.draw(st.sampled_from(READING))
    names = st.sampled_from([*endpoint.query.model_fields, "colour"])
    text = st.text(st.characters(codec="utf-8"), max_size=8) | st.sampled_from(["1", "0", "true"])
    query = data.draw(st.dictionaries(names, text, max_size=3))
    path = endpoint.path.replace("{id}", "1").replace("{name}", "icewm")
    said = await api.call("GET", path, query=dict(query))
    assert said.status < 500
