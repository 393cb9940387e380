"""Builds the OpenAPI 3.1 document from the endpoint table."""

from collections.abc import Iterable
from importlib.metadata import version
from typing import Any, Final, Literal

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from qvdnode.admin.endpoint import JSON, PATH_PARAMS, AnyEndpoint, Permission, variables
from qvdnode.admin.endpoints import SERVED
from qvdnode.admin.problem import (
    ERROR_ANSWERS,
    INTERNAL,
    INTERNAL_CODE,
    MEDIA_TYPE,
    BodyTooLarge,
    BodyTooSlow,
    Malformed,
    Problem,
    UnsupportedMedia,
)
from qvdnode.admin.reading import NoBody, PageQuery
from qvdnode.admin.visitor import ADMIN_COOKIE, READING, USER_COOKIE
from qvdnode.model.errors import (
    FarmError,
    Forbidden,
    Invalid,
    NotFound,
    Unauthenticated,
    Unavailable,
)

REF: Final = "#/components/schemas/{model}"
ALWAYS: Final[tuple[type[FarmError], ...]] = (Invalid, Unavailable)
WITH_BODY: Final[tuple[type[FarmError], ...]] = (Malformed, BodyTooLarge, UnsupportedMedia)

SECURITY: Final[dict[Permission, list[dict[str, list[str]]]]] = {
    Permission.ANYBODY: [],
    Permission.OPERATOR: [{"token": []}, {"admin_login": []}],
    Permission.OPERATOR_OR_LOOPBACK: [{"token": []}, {"admin_login": []}, {}],
    Permission.USER: [{"user_login": []}],
    Permission.OWN_PAGE: [],
}

WITH_LOGIN: Final = frozenset(
    {Permission.OPERATOR, Permission.OPERATOR_OR_LOOPBACK, Permission.USER}
)
OF_OPERATORS: Final = frozenset({Permission.OPERATOR, Permission.OPERATOR_OR_LOOPBACK})
"""Their roles are looked at for reading, too (access.py)."""

Json = dict[str, Any]
Mode = Literal["validation", "serialization"]


def document() -> Json:
    """Build the document of dicts and lists, in a stable order."""
    references, definitions = models_json_schema(_models(), ref_template=REF)
    schemas = {(model, mode): value for (model, mode), value in references.items()}
    paths: dict[str, Json] = {}
    for prefix, endpoint in SERVED:
        place = paths.setdefault(prefix + endpoint.path, {})
        place[endpoint.method.lower()] = _operation(endpoint, schemas)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "qvdnode",
            "version": version("qvdnode"),
            "description": "Administration of a farm of Linux desktops. See docs/rest.md.",
        },
        "paths": paths,
        "components": {
            "schemas": dict(sorted(definitions.get("$defs", {}).items())),
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer"},
                "admin_login": {"type": "apiKey", "in": "cookie", "name": ADMIN_COOKIE},
                "user_login": {"type": "apiKey", "in": "cookie", "name": USER_COOKIE},
            },
        },
    }


def possible_errors(endpoint: AnyEndpoint) -> tuple[type[FarmError], ...]:
    """Return every error that this endpoint may answer with, sorted by status."""
    kinds: set[type[FarmError]] = {*ALWAYS, *endpoint.errors}
    if endpoint.permission in WITH_LOGIN:
        kinds.add(Unauthenticated)
    changes = endpoint.permission is not Permission.ANYBODY and endpoint.method not in READING
    if changes or endpoint.permission in OF_OPERATORS:
        kinds.add(Forbidden)
    if variables(endpoint.path) or issubclass(endpoint.query, PageQuery):
        kinds.add(NotFound)
    if endpoint.body is not NoBody or not endpoint.takes_json:
        kinds.update(WITH_BODY)
    if endpoint.body is not NoBody:
        kinds.add(BodyTooSlow)
    return tuple(sorted(kinds, key=lambda kind: (ERROR_ANSWERS[kind].status, kind.code)))


def _models() -> list[tuple[type[BaseModel], Mode]]:
    found: dict[tuple[type[BaseModel], Mode], None] = {(Problem, "serialization"): None}
    for _, endpoint in SERVED:
        if endpoint.body is not NoBody:
            found[(endpoint.body, "validation")] = None
        if endpoint.answer is not None:
            found[(endpoint.answer, "serialization")] = None
    return list(found)


def _operation(endpoint: AnyEndpoint, schemas: dict[tuple[Any, Mode], Json]) -> Json:
    operation: Json = {
        "operationId": endpoint.handler.__name__,
        "summary": endpoint.summary,
        "tags": [endpoint.tag],
        "parameters": [*_path_parameters(endpoint), *_query_parameters(endpoint)],
        "responses": _responses(endpoint, schemas),
        "security": SECURITY[endpoint.permission],
    }
    if not endpoint.takes_json:
        content: Json = {media: {} for media in endpoint.body_media}
        operation["requestBody"] = {"required": True, "content": content}
    elif endpoint.body is not NoBody:
        schema = schemas[(endpoint.body, "validation")]
        operation["requestBody"] = {"required": True, "content": {JSON: {"schema": schema}}}
    return operation


def _path_parameters(endpoint: AnyEndpoint) -> Iterable[Json]:
    for name in variables(endpoint.path):
        schema = dict(PATH_PARAMS[name].schema)
        yield {"name": name, "in": "path", "required": True, "schema": schema}


def _query_parameters(endpoint: AnyEndpoint) -> Iterable[Json]:
    schema = endpoint.query.model_json_schema()
    for name, value in schema.get("properties", {}).items():
        required = name in schema.get("required", ())
        plain = _without_null(_inlined(value, schema.get("$defs", {})))
        yield {"name": name, "in": "query", "required": required, "schema": plain}


def _inlined(schema: Json, definitions: Json) -> Json:
    """Replace the references of a parameter's schema by their definitions."""
    if "$ref" in schema:
        return dict(definitions[schema["$ref"].rpartition("/")[2]])
    if "anyOf" in schema:
        return {**schema, "anyOf": [_inlined(item, definitions) for item in schema["anyOf"]]}
    return schema


def _without_null(schema: Json) -> Json:
    """Remove null from a parameter's schema: a query string cannot carry it."""
    kept = {key: value for key, value in schema.items() if (key, value) != ("default", None)}
    options = [item for item in kept.pop("anyOf", []) if item != {"type": "null"}]
    if len(options) > 1:
        return {**kept, "anyOf": options}
    return {**kept, **(options[0] if options else {})}


def _responses(endpoint: AnyEndpoint, schemas: dict[tuple[Any, Mode], Json]) -> Json:
    responses: Json = {}
    for status in (endpoint.status, *endpoint.other_statuses):
        responses[str(status)] = {"description": "Done" if status != 202 else "Begun"}
        if endpoint.answer is not None:
            schema = schemas[(endpoint.answer, "serialization")]
            responses[str(status)]["content"] = {endpoint.answer_media: {"schema": schema}}
        elif endpoint.answer_media != JSON:
            content: Json = {endpoint.answer_media: {"schema": {"type": "string"}}}
            responses[str(status)]["content"] = content
    by_status: dict[int, list[str]] = {}
    for kind in possible_errors(endpoint):
        by_status.setdefault(ERROR_ANSWERS[kind].status, []).append(kind.code)
    by_status.setdefault(INTERNAL.status, []).append(INTERNAL_CODE)
    for status, codes in sorted(by_status.items()):
        content = {MEDIA_TYPE: {"schema": schemas[(Problem, "serialization")]}}
        responses[str(status)] = {"description": "Codes: " + ", ".join(codes), "content": content}
    return responses
