"""Bodies and answers of a resource, derived from one class that declares its fields.

class ThingFields(BaseModel):                      # each field once, with bounds and default
    size_mib: Annotated[int, Field(ge=1)] = 64
class NewThing(RequestBody, ThingFields): ...      # what POST takes; may add fields
class ThingChange(ChangeBody, ThingFields): ...    # what PATCH takes: each may be left out
class ThingView(FieldsAnswer, ThingFields): ...     # what is answered: each is there
"""

from collections.abc import Callable
from copy import copy
from typing import Any, Final

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from qvdnode.admin.endpoint import AnswerModel
from qvdnode.admin.reading import RequestBody

NO_DEFAULT: Final[Any] = FieldInfo().default


class ChangeBody(RequestBody):
    """Base of a body that changes a resource: fields left out stay as they are.

    What the body names is in `model_fields_set`; of the others the value means nothing. A field
    may be null only if its type says so.
    """

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:  # noqa: ANN401 - as pydantic's own
        """Let every field be left out."""
        super().__pydantic_init_subclass__(**kwargs)
        _rebuild(cls, _left_out)


class FieldsAnswer(AnswerModel):
    """Base of an answer that shows a resource."""

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:  # noqa: ANN401 - as pydantic's own
        """Have every field, whatever bounds it had when it was written."""
        super().__pydantic_init_subclass__(**kwargs)
        _rebuild(cls, _always_there)


def _rebuild(model: type[BaseModel], derive: Callable[[FieldInfo], None]) -> None:
    for name, field in model.model_fields.items():
        model.model_fields[name] = derived = copy(field)
        derive(derived)
    model.model_rebuild(force=True)


def _left_out(field: FieldInfo) -> None:
    # A factory has no place in the document, unlike a default, which would be shown as one.
    field.default, field.default_factory = NO_DEFAULT, lambda: None


def _always_there(field: FieldInfo) -> None:
    field.default, field.default_factory, field.metadata = NO_DEFAULT, None, []
