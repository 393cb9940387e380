"""Turns bodies and query strings into request models; errors name the invalid field.

Error messages never repeat a value, because it may be a password.
"""

from collections.abc import Iterable
from typing import Any, Final, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from qvdnode.admin import refusal
from qvdnode.admin.problem import Malformed
from qvdnode.model.errors import FarmError, Invalid
from qvdnode.model.ids import MAX_WIRE_ID
from qvdnode.model.listing import PAGE_SIZE, PAGE_SIZE_MAX, Page

M = TypeVar("M", bound=BaseModel)

NO_JSON: Final = "json_invalid"
AFTER_MAX: Final = 2**63 - 1


class RequestBody(BaseModel):
    """Base of all request bodies. It refuses unknown fields and converts no types."""

    model_config = ConfigDict(extra="forbid", strict=True)

    @field_validator("*", mode="before")
    @classmethod
    def _whole(cls, value: object) -> object:
        """Convert 596.0 to 596: JSON has one number type, and JSON Schema calls it an integer."""
        return int(value) if isinstance(value, float) and value.is_integer() else value


class NoBody(RequestBody):
    """The body of requests that have none."""


class Query(BaseModel):
    """Base of all query strings. It refuses unknown parameters and converts text."""

    model_config = ConfigDict(extra="forbid")


class NoQuery(Query):
    """The query of requests that have none."""


class PageQuery(Query):
    """Which part of a list: at most `limit` items whose id is greater than `after`."""

    limit: int = Field(default=PAGE_SIZE, ge=1, le=PAGE_SIZE_MAX)
    after: int = Field(default=0, ge=0, le=AFTER_MAX)

    def page(self) -> Page:
        """Return the same as a Page of the model."""
        return Page(limit=self.limit, after=self.after)


LeftOut: Any = Field(default_factory=lambda: None)
"""The default of an optional field of a change that may not be null. `model_fields_set` has the
fields that are in the body; the values of the others mean nothing."""
IdFilter = Field(default=None, ge=1, le=MAX_WIRE_ID)
Newest = Field(
    default=False, description="Newest first; `after` then goes back, to ids less than it."
)


def read_body(model: type[M], body: bytes) -> M:
    """Parse the body; raises Malformed if it is not JSON, Invalid with the name of the field."""
    try:
        return model.model_validate_json(body or b"{}")
    except ValidationError as error:
        raise _refusal(model, error, "") from error


def read_query(model: type[M], pairs: Iterable[tuple[str, str]]) -> M:
    """Parse the query string; raises Invalid with the name of the parameter."""
    values: dict[str, str] = {}
    for key, value in pairs:
        if key in values:
            raise Invalid(f"{key[:64]} may be given only once.", field=f"query.{key[:64]}")
        values[key] = value
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise _refusal(model, error, "query.") from error


def _refusal(model: type[BaseModel], error: ValidationError, prefix: str) -> FarmError:
    errors = error.errors(include_input=False, include_url=False)
    first = errors[0]
    if first["type"] == NO_JSON:
        where = str(first.get("ctx", {}).get("error", ""))
        return Malformed(f"The body must be JSON in UTF-8: {where}.")
    part = refusal.part_of(first)
    kind = "parameter" if prefix else "field"
    return Invalid(
        refusal.sentences(model, errors, kind), field=prefix + part if first["loc"] else None
    )
