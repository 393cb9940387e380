"""The document holds together and keeps the rules of OpenAPI 3.1 that generators rely on."""

import re
from collections.abc import Iterator
from typing import Any

import pytest

from qvdnode.admin import openapi

DOCUMENT = openapi.document()
OPERATIONS = {
    f"{method.upper()} {path}": operation
    for path, place in DOCUMENT["paths"].items()
    for method, operation in place.items()
}
METHODS = {"get", "put", "post", "delete", "patch"}
OPERATION_FIELDS = {
    "operationId", "summary", "tags", "parameters", "responses", "security", "requestBody"
}  # fmt: skip
TYPES = {"array", "boolean", "integer", "null", "number", "object", "string"}
SCHEMA_WORDS = {
    "$ref", "additionalProperties", "anyOf", "const", "default", "description", "enum", "format",
    "items", "maxItems", "maxLength", "maximum", "minItems", "minLength", "minimum", "pattern",
    "properties",
    "propertyNames", "required", "title", "type", "writeOnly",
}  # fmt: skip
"""Those of JSON Schema that we use; `nullable` and `example` are of OpenAPI 3.0."""


def values(of: Any) -> Iterator[dict[str, Any]]:
    """Every object within, at any depth."""
    if isinstance(of, dict):
        yield of
        for value in of.values():
            yield from values(value)
    elif isinstance(of, list):
        for value in of:
            yield from values(value)


def schemas(of: Any) -> Iterator[dict[str, Any]]:
    """A schema and all below it."""
    yield of
    below = [*of.get("anyOf", []), *of.get("properties", {}).values()]
    below += [
        of[word] for word in ("items", "additionalProperties") if isinstance(of.get(word), dict)
    ]
    for schema in below:
        yield from schemas(schema)


def resolved(reference: str) -> Any:
    place: Any = DOCUMENT
    assert reference.startswith("#/")
    for word in reference[2:].split("/"):
        place = place[word]
    return place


def test_it_names_itself_and_its_parts() -> None:
    assert re.fullmatch(r"3\.1\.\d+", DOCUMENT["openapi"])
    assert {"title", "version"} <= DOCUMENT["info"].keys()
    assert DOCUMENT.keys() <= {"openapi", "info", "paths", "components"}
    assert {place for paths in DOCUMENT["paths"].values() for place in paths} <= METHODS
    names = [operation["operationId"] for operation in OPERATIONS.values()]
    assert len(names) == len(set(names))


def test_no_parameter_may_be_null() -> None:
    parameters = [item for row in OPERATIONS.values() for item in row["parameters"]]
    found = [one for item in parameters for one in schemas(item["schema"])]
    assert found
    assert not [one for one in found if one.get("type") == "null" or one.get("default", 0) is None]


def test_probes_are_described_too() -> None:
    assert {"GET /healthz", "GET /readyz", "GET /metrics"} <= OPERATIONS.keys()
    assert OPERATIONS["GET /metrics"]["security"] == [
        {"token": []},
        {"admin_login": []},
        {},
    ]


def test_every_reference_leads_somewhere_and_no_part_is_left_over() -> None:
    references = {item["$ref"] for item in values(DOCUMENT) if "$ref" in item}
    assert all(isinstance(resolved(reference), dict) for reference in references)
    parts = DOCUMENT["components"]["schemas"]
    assert {f"#/components/schemas/{name}" for name in parts} == references


@pytest.mark.parametrize("name", OPERATIONS)
def test_an_operation_keeps_the_rules(name: str) -> None:
    operation = OPERATIONS[name]
    method, path = name.split()
    assert operation.keys() <= OPERATION_FIELDS
    assert path.startswith("/")
    schemes = DOCUMENT["components"]["securitySchemes"]
    assert all(scheme in schemes for needed in operation["security"] for scheme in needed)
    assert ("requestBody" in operation) <= (method in {"POST", "PUT", "PATCH"})
    contents = [operation["requestBody"]] if "requestBody" in operation else []
    for status, response in operation["responses"].items():
        assert re.fullmatch("[1-5][0-9][0-9]", status)
        assert response["description"]
        contents.append(response)
    media = [media for item in contents for media in item.get("content", {})]
    assert all(re.match(r"[a-z]+/[a-z.+-]+", kind) for kind in media)


@pytest.mark.parametrize("name", OPERATIONS)
def test_parameters_are_those_of_the_path_and_of_the_query(name: str) -> None:
    parameters = OPERATIONS[name]["parameters"]
    assert all(item.keys() == {"name", "in", "required", "schema"} for item in parameters)
    places = {(item["name"], item["in"]) for item in parameters}
    assert len(places) == len(parameters)
    in_path = {where for where, kind in places if kind == "path"}
    assert in_path == set(re.findall(r"{(\w+)}", name))
    assert all(item["required"] for item in parameters if item["in"] == "path")
    assert {kind for _, kind in places} <= {"path", "query"}


@pytest.mark.parametrize("name", OPERATIONS)
def test_what_can_go_wrong_is_described(name: str) -> None:
    responses = OPERATIONS[name]["responses"]
    assert "internal" in responses["500"]["description"]
    with_json = "application/json" in OPERATIONS[name].get("requestBody", {}).get("content", {})
    assert with_json == ("408" in responses)


def test_schemas_are_json_schemas() -> None:
    roots = list(DOCUMENT["components"]["schemas"].values())
    roots += [item["schema"] for item in values(DOCUMENT["paths"]) if "schema" in item]
    for schema in (below for root in roots for below in schemas(root)):
        assert schema.keys() <= SCHEMA_WORDS, schema
        assert {schema["type"]} <= TYPES if "type" in schema else True
        assert set(schema.get("required", ())) <= schema.get("properties", {}).keys()
        re.compile(schema.get("pattern", ""))
