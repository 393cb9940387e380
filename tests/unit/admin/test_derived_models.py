"""What a change and an answer make of the fields of a resource."""

from typing import Annotated, Any

import pytest
from pydantic import BaseModel, Field, ValidationError

from qvdnode.admin.derived_models import ChangeBody, FieldsAnswer
from qvdnode.admin.reading import RequestBody


class ThingFields(BaseModel):
    """A thing's fields."""

    name: Annotated[str, Field(pattern="^[a-z]+$")]
    size_mib: Annotated[int, Field(ge=64, description="MiB of it.")] = 1024
    note: str | None = None


class NewThing(RequestBody, ThingFields):
    """One to be made."""

    owner: int


class ThingChange(ChangeBody, ThingFields):
    """What may change."""


class ThingView(FieldsAnswer, ThingFields):
    """As it is shown."""

    id: int


def test_a_new_thing_has_the_defaults() -> None:
    made = NewThing.model_validate({"name": "a", "owner": 1})
    assert made.model_dump() == {"name": "a", "size_mib": 1024, "note": None, "owner": 1}


def test_a_change_knows_what_it_names() -> None:
    change = ThingChange.model_validate_json('{"size_mib": 65.0, "note": null}')
    assert change.model_dump(exclude_unset=True) == {"size_mib": 65, "note": None}
    assert ThingChange.model_validate({}).model_dump(exclude_unset=True) == {}
    schema = ThingChange.model_json_schema()
    assert "required" not in schema
    assert schema["properties"]["size_mib"] == {
        "title": "Size Mib",
        "type": "integer",
        "minimum": 64,
        "description": "MiB of it.",
    }


@pytest.mark.parametrize(
    "body", [{"name": None}, {"name": "A"}, {"size_mib": 63}, {"size_mib": "64"}, {"colour": 1}]
)
def test_a_change_is_held_to_the_same_bounds(body: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        ThingChange.model_validate(body)


def test_an_answer_has_every_field_whatever_was_written_before() -> None:
    shown = {"name": "Odd", "size_mib": 1, "note": None, "id": 3}
    assert ThingView.model_validate(shown).model_dump() == shown
    assert set(ThingView.model_json_schema()["required"]) == set(shown)
    for missing in shown:
        with pytest.raises(ValidationError):
            ThingView.model_validate({key: shown[key] for key in shown if key != missing})
