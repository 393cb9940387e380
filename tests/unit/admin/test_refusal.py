"""Whatever is wrong with a request, the sentence is ours and names the part."""

from collections.abc import Callable
from typing import Any

import pytest

from qvdnode.admin.endpoints import ENDPOINTS
from qvdnode.admin.fields import MEANINGS
from qvdnode.admin.reading import NoBody, read_body, read_query
from qvdnode.admin.routes.flavours import NewFlavour
from qvdnode.admin.routes.tenants import TenantDraft
from qvdnode.admin.routes.users import UserDraft
from qvdnode.admin.routes.vms import VmQuery
from qvdnode.model.errors import Invalid

ODD: tuple[str, ...] = (
    *("null", "true", "7", "-1", "1.5", "1e400", str(2**80), '"7"', '""', "[]", "{}"),
    *('"a\\tb"', '"\\u0000"', '"' + "x" * 2000 + '"'),
)
FOREIGN = ("Input", "String", "should", "valid", "parse", "a value that does not fit")
BODIES = sorted({e.body for e in ENDPOINTS if e.body is not NoBody}, key=lambda kind: kind.__name__)
QUERIES = sorted({e.query for e in ENDPOINTS}, key=lambda kind: kind.__name__)


def refusal(model: type[Any], body: str) -> Invalid:
    with pytest.raises(Invalid) as caught:
        read_body(model, body.encode())
    return caught.value


def said_to(read: Callable[..., object], *asked: object) -> str:
    """The refusal's text, empty where there is none."""
    try:
        read(*asked)
    except Invalid as error:
        return str(error)
    return ""


def patterns(schema: Any) -> set[str]:
    """Every pattern that a JSON schema asks for."""
    if isinstance(schema, list):
        return set().union(*map(patterns, schema)) if schema else set()
    if not isinstance(schema, dict):
        return set()
    found = patterns(list(schema.values()))
    return found | {schema["pattern"]} if isinstance(schema.get("pattern"), str) else found


def test_every_pattern_a_request_must_match_has_a_meaning() -> None:
    asked = {
        pattern for model in (*BODIES, *QUERIES) for pattern in patterns(model.model_json_schema())
    }
    assert asked
    assert asked <= set(MEANINGS)


@pytest.mark.parametrize("model", BODIES, ids=lambda kind: str(kind.__name__))
def test_no_odd_value_of_any_field_gets_a_foreign_sentence(model: type[Any]) -> None:
    for name in model.model_fields:
        for value in ODD:
            said = said_to(read_body, model, f'{{"{name}": {value}}}'.encode())
            assert not [word for word in FOREIGN if word in said], said


@pytest.mark.parametrize("model", QUERIES, ids=lambda kind: str(kind.__name__))
def test_no_odd_parameter_gets_a_foreign_sentence(model: type[Any]) -> None:
    for name in (*model.model_fields, "colour"):
        for value in ("", "x y", "0", "-1", "9" * 30, "9" * 5000, "1.5", "maybe"):
            said = said_to(read_query, model, [(name, value)])
            assert not said or name in said
            assert not [word for word in FOREIGN if word in said], said


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ("{}", "name is missing."),
        ('{"name": 7}', "name must be text, in quotes."),
        ('{"name": "Bad Name"}', "name must be 1 to 64 lower-case letters"),
        ('{"name": "a", "colour": 1}', "There is no field colour; the only one is name."),
        ("[]", "The body must be a JSON object"),
    ],
)
def test_a_refusal_says_what_to_do(body: str, sentence: str) -> None:
    assert str(refusal(TenantDraft, body)).startswith(sentence)


@pytest.mark.parametrize(
    ("field", "value", "sentence"),
    [
        ("memory_mib", "3", "memory_mib must be 64 or more."),
        ("pids_max", "9999999", "pids_max must be 1000000 or less."),
        ("cpu_pct", '"50"', "cpu_pct must be a whole number such as 7, not '7' or 7.5."),
        ("egress", "1", "egress must be true or false, not in quotes."),
        ("driver", '"LXC"', "driver must be the name of a driver, such as lxc."),
        ("shell", '"bash"', "shell must be a path such as /bin/bash"),
        ("timezone", '"../x"', "timezone must be a time zone such as Europe/Madrid."),
    ],
)
def test_bounds_and_kinds_are_told(field: str, value: str, sentence: str) -> None:
    body = f'{{"tenant_id": 1, "name": "a", "image": "b", "{field}": {value}}}'
    error = refusal(NewFlavour, body)
    assert str(error).startswith(sentence)
    assert error.field == field


def test_all_that_is_wrong_is_told_at_once_and_the_first_part_is_the_field() -> None:
    error = refusal(UserDraft, '{"tenant_id": 0, "login": "B b", "password": ""}')
    assert error.field == "tenant_id"
    said = str(error)
    assert "tenant_id must be 1 or more." in said
    assert "login must be 1 to 64 letters" in said
    assert said.endswith("password must have 1 character or more.")


def test_an_unknown_state_is_answered_with_the_states_there_are() -> None:
    with pytest.raises(Invalid, match="state must be stopped, preparing") as caught:
        read_query(VmQuery, [("state", "flying")])
    assert caught.value.field == "query.state"
