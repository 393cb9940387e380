"""The values requests may carry, each bounded: they end in file names, accounts and commands."""

from typing import Annotated, Final

from pydantic import Field, SecretStr, StringConstraints

from qvdnode.model.ids import MAX_WIRE_ID

Name = Annotated[
    str,
    StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9 ._-]{0,62}[A-Za-z0-9._-]$|^[A-Za-z0-9]$"),
]
"""What people call a thing: letters, digits, blanks inside, dots, dashes."""
TenantName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")]
"""Stands in logins after the last @ or #, so it has neither."""
Login = Annotated[str, StringConstraints(pattern=r"^[a-z_][a-z0-9._-]{0,31}$")]
"""Becomes the name of the account in the guest."""
ImageName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")]
Id = Annotated[int, Field(ge=1, le=MAX_WIRE_ID)]
PASSWORD_MAX: Final = 256
Password = Annotated[SecretStr, Field(min_length=1, max_length=PASSWORD_MAX)]
"""Never printed, never answered."""
Program = Annotated[str, StringConstraints(pattern=r"^[\x20-\x7e]{1,512}$")]
"""A command line for the session's shell, printable ASCII."""
AbsolutePath = Annotated[str, StringConstraints(pattern=r"^(/[A-Za-z0-9._-]{1,64}){1,8}$")]
Locale = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.@-]{1,64}$")]
Timezone = Annotated[
    str, StringConstraints(pattern=r"^[A-Za-z0-9_+-]{1,32}(/[A-Za-z0-9_+-]{1,32}){0,2}$")
]
Word = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._@#-]{1,64}$")]
"""A value to look for."""
