"""The place in a sorted list after which the next page begins, as a text that clients hand back."""

import base64
import json
from dataclasses import dataclass
from datetime import datetime
from typing import Final

ID_MAX: Final = 2**63 - 1
TIME: Final = "at"
TEXT: Final = "text"


class BadCursor(ValueError):
    """The text is not a cursor."""


@dataclass(frozen=True, slots=True)
class ListCursor:
    """The last row of a page, by what the list is sorted by."""

    sort: str
    """The order that it is a place of, such as -created_at."""
    value: str | datetime
    """What the row has there; a time has a zone."""
    id: int

    def encoded(self) -> str:
        """Return the text of letters, digits, dashes and underscores."""
        is_time = isinstance(self.value, datetime)
        value = self.value.isoformat() if isinstance(self.value, datetime) else self.value
        place = json.dumps([self.sort, TIME if is_time else TEXT, value, self.id])
        return base64.urlsafe_b64encode(place.encode()).decode().rstrip("=")


def decoded(text: str) -> ListCursor:
    """Return the cursor of a text; raises BadCursor."""
    try:
        padded = text + "=" * (-len(text) % 4)
        fields = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
        sort, kind, value, number = fields
        if not all(isinstance(field, str) for field in (sort, kind, value)):
            raise BadCursor("not three texts")
        value.encode()
        place = datetime.fromisoformat(value) if kind == TIME else value
    except (ValueError, TypeError, RecursionError) as error:
        raise BadCursor("not encoded as a cursor") from error
    is_id = type(number) is int and 0 < number <= ID_MAX
    if not is_id or kind not in {TIME, TEXT} or "\0" in value:
        raise BadCursor("no place in a list")
    if isinstance(place, datetime) and place.tzinfo is None:
        raise BadCursor("a time without a zone")
    return ListCursor(sort, place, number)
