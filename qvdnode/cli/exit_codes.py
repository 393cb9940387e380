"""What commands exit with: errors of the farm as numbers for scripts."""

from enum import IntEnum
from typing import Final

from qvdnode.cli.api_answers import Refused
from qvdnode.model.errors import (
    BadConfig,
    FarmError,
    Forbidden,
    Invalid,
    NodeFull,
    NotFound,
    Throttled,
    TimedOut,
    Unauthenticated,
    Unavailable,
)


class ExitCode(IntEnum):
    """The same for every command."""

    DONE = 0
    """Done; also after a user's session was ended by anybody."""
    FAILED = 1
    """The command failed, or conflicts with the current state, or was not confirmed."""
    USAGE = 2
    """Wrong usage or wrong configuration: correct the command or the file."""
    NOT_FOUND = 3
    """The object does not exist."""
    DENIED = 4
    """Not logged in, not allowed, or a certificate that is not the trusted one."""
    UNAVAILABLE = 5
    """A part is unavailable, full, busy or too slow: the same command may work later."""
    INTERRUPTED = 130
    """Ended by Ctrl-C before it was done. Commands that run until Ctrl-C (`qvdnode serve`,
    `qvdnode demo`, a session that was shown) exit with 0."""


BY_CODE: Final[dict[str, ExitCode]] = {
    Invalid.code: ExitCode.USAGE,
    BadConfig.code: ExitCode.USAGE,
    NotFound.code: ExitCode.NOT_FOUND,
    Unauthenticated.code: ExitCode.DENIED,
    Forbidden.code: ExitCode.DENIED,
    Throttled.code: ExitCode.UNAVAILABLE,
    NodeFull.code: ExitCode.UNAVAILABLE,
    Unavailable.code: ExitCode.UNAVAILABLE,
    TimedOut.code: ExitCode.UNAVAILABLE,
}
"""By the stable code of the error, which REST's problems carry too; all others have failed."""


def exit_code_of(error: FarmError) -> ExitCode:
    """What a command that ends with this error exits with."""
    return exit_code_for(error.problem_code if isinstance(error, Refused) else error.code)


def exit_code_for(code: str) -> ExitCode:
    """What a command exits with for a problem of this code."""
    return BY_CODE.get(code, ExitCode.FAILED)
