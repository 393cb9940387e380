"""Server and OpenAPI document agree, for requests that the document allows and for damaged ones.

Schemathesis makes the requests of every operation out of the document: first each bound and each
kind of damage once, then some by chance. How many by chance, the profile of Hypothesis says.
"""

import asyncio
import json
from collections.abc import Iterator
from typing import Any, TypeAlias
from urllib.parse import urlsplit

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import Case, GenerationMode, Response, SerializationContext
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    allow_header_conformance,
    content_type_conformance,
    ignored_auth,
    negative_data_rejection,
    positive_data_acceptance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from qvdnode.admin.endpoint import BYTES, NDJSON, TAR
from qvdnode.admin.openapi import document
from tests.integration.admin.checked_api import CheckedApi, check, endpoint_of
from tests.integration.admin.sample_farm import SampleFarm

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    negative_data_rejection,
    positive_data_acceptance,
    allow_header_conformance,
    ignored_auth,
]
SHARE = 4
"""By chance, of each kind, a quarter of the profile's examples: there are 43 operations."""
ANSWER_LIMIT_S = 10
DRIVER_WORDS = ("asyncpg", "query argument", "int32", "int64", "relation ")
AnyCase: TypeAlias = Case[Any]


def _schema() -> schemathesis.BaseSchema:
    config = schemathesis.Config()
    config.projects.default.generation.update(with_security_parameters=False)
    return schemathesis.openapi.from_dict(json.loads(json.dumps(document())), config=config)


SCHEMA = _schema()
ENDLESS = "GET /api/v1/events"
"""A stream without an end, which Schemathesis would wait for; routes/test_events.py reads it."""
OPERATIONS = {
    found.ok().label: found.ok()
    for found in SCHEMA.get_all_operations()
    if isinstance(found, Ok) and found.ok().label != ENDLESS
}


@schemathesis.serializer(TAR, BYTES)
def as_it_is(context: SerializationContext, value: object) -> bytes:
    """What goes for a tar file."""
    return value if isinstance(value, bytes) else json.dumps(value).encode()


class Caller:
    """Sends cases with a token, and judges the answers."""

    def __init__(self, api: CheckedApi, session: requests.Session, known: SampleFarm) -> None:
        self._url = str(api.client.make_url("")).rstrip("/")
        self._session = session
        self._known = known
        session.headers["Authorization"] = f"Bearer {api.token}"

    def call(self, case: AnyCase) -> None:
        """One request; fails when the document does not foresee its answer."""
        answer = case.call(base_url=self._url, session=self._session, timeout=ANSWER_LIMIT_S)
        case.validate_response(answer, checks=CHECKS)
        assert not [word for word in DRIVER_WORDS if word in answer.text.lower()], answer.text
        self._judge(case, answer)

    def call_aimed(self, case: AnyCase) -> None:
        """The same, and once more at what is really there, if the body names things."""
        self.call(case)
        if isinstance(case.body, dict) and case.body.keys() & self._there().keys():
            case.body = {key: self._there().get(key, value) for key, value in case.body.items()}
            self.call(case)

    def _there(self) -> dict[str, Any]:
        known = self._known
        numbers = {
            "tenant_id": known.tenant_id, "user_id": known.user_id, "flavour_id": known.flavour_id
        }  # fmt: skip
        return {**numbers, "image": "icewm", "version": 1}

    def _judge(self, case: AnyCase, answer: Response) -> None:
        # a whole stream of lines is more than Schemathesis knows how to read
        endpoint = endpoint_of(case.method, urlsplit(case.formatted_path).path)
        if endpoint is not None and endpoint.answer_media == NDJSON:
            media = answer.headers["content-type"][0].partition(";")[0]
            check(endpoint, answer.status_code, media, answer.text)


@pytest.fixture
def session() -> Iterator[requests.Session]:
    with requests.Session() as made:
        yield made


@pytest.fixture
def caller(api: CheckedApi, session: requests.Session, farm: SampleFarm) -> Caller:
    return Caller(api, session, farm)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("label", OPERATIONS)
async def test_server_and_document_agree(caller: Caller, label: str) -> None:
    operation = OPERATIONS[label]

    def bounds(mode: GenerationMode) -> None:
        generation = SCHEMA.config.generation
        for case in SCHEMA.iter_coverage_cases(
            operation, generation_modes=[mode], generation_config=generation
        ):
            caller.call(case)

    def chance(mode: GenerationMode) -> None:
        @settings(
            max_examples=max(1, settings().max_examples // SHARE),
            suppress_health_check=list(HealthCheck),
        )
        @given(operation.as_strategy(generation_mode=mode))
        def one(case: AnyCase) -> None:
            (caller.call_aimed if mode.is_positive else caller.call)(case)

        one()

    modes = [GenerationMode.POSITIVE]
    if operation.query or operation.path_parameters or operation.body:
        modes.append(GenerationMode.NEGATIVE)  # there is something to damage
    for mode in modes:
        await asyncio.to_thread(bounds, mode)
        await asyncio.to_thread(chance, mode)


def test_every_operation_is_tried() -> None:
    documented = document()["paths"]
    assert len({*OPERATIONS, ENDLESS}) == sum(len(place) for place in documented.values())
