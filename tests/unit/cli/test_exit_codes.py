import pytest

from qvdnode.cli.api_answers import Refused
from qvdnode.cli.exit_codes import ExitCode, exit_code_for, exit_code_of
from qvdnode.model.errors import (
    BadConfig,
    Conflict,
    FarmError,
    Forbidden,
    GuestFailed,
    Invalid,
    NodeFull,
    NotFound,
    TimedOut,
    Unauthenticated,
    Unavailable,
)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (Conflict("In use."), 1),
        (GuestFailed("No display.", step="display"), 1),
        (Invalid("Too long."), 2),
        (BadConfig("No such key."), 2),
        (NotFound("No such VM."), 3),
        (Unauthenticated("Who?"), 4),
        (Forbidden("Not yours."), 4),
        (NodeFull("No room."), 5),
        (Unavailable("Database away."), 5),
        (TimedOut("No answer within 10 s."), 5),
    ],
)
def test_errors_end_commands_with_their_code(error: FarmError, code: int) -> None:
    assert exit_code_of(error) == code


@pytest.mark.parametrize(("code", "exits"), [("invalid", 2), ("not_found", 3), ("conflict", 1)])
def test_problems_of_the_node_end_commands_like_local_errors(code: str, exits: int) -> None:
    refused = Refused({"code": code, "detail": "Say it otherwise."})
    assert (exit_code_of(refused), str(refused)) == (exits, "Say it otherwise.")


def test_a_code_of_a_newer_node_has_failed() -> None:
    assert exit_code_for("from_the_future") is ExitCode.FAILED
