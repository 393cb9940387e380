"""Turns bodies and query strings into request models; errors name the invalid field.

Error messages never repeat a value, because it may be a password.
"""

from collections.abc import Iterable
from typing import Annotated, Any, Final, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from qvdnode.admin import refusal
from qvdnode.admin.fields import CURSOR, SEARCHED, sort_shape
from qvdnode.admin.problem import Malformed
from qvdnode.model.errors import FarmError, Invalid
from qvdnode.model.ids import MAX_WIRE_ID
from qvdnode.model.listing import PAGE_SIZE, PAGE_SIZE_MAX, Page

M = TypeVar("M", bound=BaseModel)

NO_JSON: Final = "json_invalid"


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
    """Which part of a list: at most `limit` items that follow `after`."""

    limit: int = Field(default=PAGE_SIZE, ge=1, le=PAGE_SIZE_MAX)
    after: Annotated[str, CURSOR.field()] = Field(
        default="0", description="The `next_after` of the page before."
    )

    def page(self) -> Page:
        """Return the same as a Page of the model."""
        return Page(limit=self.limit, after=self.cursor())

    def cursor(self) -> int | str:
        """Return where the page begins: an id, or a place in an order by something else."""
        return int(self.after) if self.after.isdecimal() else self.after


class ListQuery(PageQuery):
    """A list that can be searched and sorted; each has its own `sort`."""

    q: Annotated[str, SEARCHED.field()] | None = Field(
        default=None, description="Only items with a name that begins so, whatever the case."
    )
    sort: str = "id"

    def page(self) -> Page:
        """Return the same as a Page of the model."""
        return Page(limit=self.limit, after=self.cursor(), q=self.q, sort=self.sort)


def sort_field(*names: str) -> Any:  # noqa: ANN401 - as pydantic's own
    """Return the field of the orders of one list: by id, or by these fields."""
    shape = sort_shape("id", *names)
    return Field(default="id", pattern=shape.pattern, description=f"Must be {shape.meaning}.")


class NewestQuery(ListQuery):
    """A list in the order of time."""

    newest: bool = Field(default=False, description="Newest first, as with sort=-id.")

    def page(self) -> Page:
        """Return the same as a Page of the model; another order than by id goes first."""
        sort = "-id" if self.newest and self.sort == "id" else self.sort
        return Page(limit=self.limit, after=self.cursor(), q=self.q, sort=sort)


LeftOut: Any = Field(default_factory=lambda: None)
"""The default of an optional field of a change that may not be null. `model_fields_set` has the
fields that are in the body; the values of the others mean nothing."""
IdFilter = Field(default=None, ge=1, le=MAX_WIRE_ID)


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
