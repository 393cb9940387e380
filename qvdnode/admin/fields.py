"""The types of values in requests. Each is bounded: values end in file names and commands."""

from dataclasses import dataclass
from typing import Annotated, Any, Final

from pydantic import AfterValidator, Field, SecretStr

from qvdnode.model.ids import MAX_WIRE_ID


@dataclass(frozen=True, slots=True)
class Shape:
    """The pattern of a text, and its meaning in words for error messages."""

    pattern: str
    meaning: str
    """Completes the sentence "It must be ..."."""

    def field(self) -> Any:  # noqa: ANN401 - as pydantic's own
        """Return the pydantic field, which also makes the OpenAPI schema."""
        return Field(pattern=self.pattern, description=f"Must be {self.meaning}.")


NAME: Final = Shape(
    r"^[A-Za-z0-9][A-Za-z0-9 ._-]{0,62}[A-Za-z0-9._-]$|^[A-Za-z0-9]$",
    "1 to 64 letters, digits, blanks, dots, dashes or underscores,"
    " with a letter or digit first and no blank last",
)
SMALL_NAME: Final = Shape(
    r"^[a-z0-9][a-z0-9._-]{0,63}$",
    "1 to 64 lower-case letters, digits, dots, dashes or underscores, with a letter or digit first",
)
LOGIN: Final = Shape(
    r"^([A-Za-z0-9][A-Za-z0-9.-]{0,31}\\)?[A-Za-z_][A-Za-z0-9._-]{0,63}"
    r"(@[A-Za-z0-9][A-Za-z0-9.-]{0,63})?$",
    "1 to 64 letters, digits, dots, dashes or underscores, with a letter or underscore first,"
    " and perhaps a domain: CORP\\ana or ana@corp.example; capitals count as small letters",
)
PROGRAM: Final = Shape(
    r"^[\x20-\x7e]{1,512}$", "1 to 512 characters on one line, without accents or the like"
)
PATH: Final = Shape(
    r"^(/[A-Za-z0-9._-]{1,64}){1,8}$",
    "a path such as /bin/bash, of letters, digits, dots, dashes and underscores",
)
LOCALE: Final = Shape(r"^[A-Za-z0-9_.@-]{1,64}$", "a locale such as en_GB.UTF-8")
TIMEZONE: Final = Shape(
    r"^[A-Za-z0-9_+-]{1,32}(/[A-Za-z0-9_+-]{1,32}){0,2}$", "a time zone such as Europe/Madrid"
)
WORD: Final = Shape(
    r"^[A-Za-z0-9._@#-]{1,64}$", "1 to 64 letters, digits, dots, dashes, underscores, @ or #"
)
NODE_NAME: Final = Shape(
    r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$",
    "1 to 64 letters, digits, dots, dashes or underscores, with a letter or digit first",
)
DRIVER: Final = Shape(r"^[a-z][a-z0-9-]{0,31}$", "the name of a driver, such as lxc")
CURSOR: Final = Shape(
    r"^([0-9]{1,19}|[A-Za-z0-9_-]{20,1000})$", "the next_after of the page before, or 0"
)
SEARCHED: Final = Shape(r"^[^\x00-\x1f\x7f]{1,64}$", "1 to 64 characters on one line")
NOTE: Final = Shape(r"^[^\x00-\x1f\x7f]{0,200}$", "at most 200 characters on one line")
HOME_PATH: Final = Shape(r"^[^\x00]{0,4095}$", "a path of at most 4,095 characters")
UPLOAD_KEY: Final = Shape(r"^[0-9a-f]{32}$", "32 hexadecimal digits in small letters")
MEANINGS: Final = {
    shape.pattern: shape.meaning
    for shape in (
        NAME,
        SMALL_NAME,
        LOGIN,
        PROGRAM,
        PATH,
        LOCALE,
        TIMEZONE,
        WORD,
        NODE_NAME,
        DRIVER,
        NOTE,
        CURSOR,
        SEARCHED,
        HOME_PATH,
        UPLOAD_KEY,
    )
}
"""The meaning of each pattern, for error messages."""


def sort_shape(*names: str) -> Shape:
    """Return the shape of an order by one of these fields, and make its meaning known."""
    shape = Shape(
        f"^-?({'|'.join(names)})$", f"one of {', '.join(names)}, with a - before it for backwards"
    )
    MEANINGS[shape.pattern] = shape.meaning
    return shape


Name = Annotated[str, NAME.field()]
"""A name that people give to an object."""
TenantName = Annotated[str, SMALL_NAME.field()]
"""Follows the last @ or # of a login, so it has neither."""
Login = Annotated[str, LOGIN.field(), AfterValidator(str.lower)]
"""Converted to small letters, because logins are compared without case."""
ImageName = Annotated[str, SMALL_NAME.field()]
DriverName = Annotated[str, DRIVER.field()]
Id = Annotated[int, Field(ge=1, le=MAX_WIRE_ID)]
PASSWORD_MAX: Final = 256
Password = Annotated[SecretStr, Field(min_length=1, max_length=PASSWORD_MAX)]
"""Never logged and never sent in an answer."""
Program = Annotated[str, PROGRAM.field()]
"""A command line for the session's shell."""
AbsolutePath = Annotated[str, PATH.field()]
Locale = Annotated[str, LOCALE.field()]
Timezone = Annotated[str, TIMEZONE.field()]
Word = Annotated[str, WORD.field()]
"""A value to look for."""
NodeName = Annotated[str, NODE_NAME.field()]
Note = Annotated[str, NOTE.field()]
