"""Errors become the answers that clients know."""

import logging

import pytest

from qvdnode.broker.boundary import answer_for, answered
from qvdnode.model import errors
from qvdnode.wire.qvd_answers import Answer


def nobody(error: errors.FarmError) -> None:
    raise AssertionError(f"nobody was to be told of {error}")


async def fail(error: Exception) -> Answer:
    raise error


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (errors.Unauthenticated("No."), 401),
        (errors.Forbidden("No."), 403),
        (errors.NotFound("No."), 404),
        (errors.Invalid("No.", field="id"), 422),
        (errors.Invalid("No.", field="custom.x"), 400),
        (errors.Invalid("No."), 400),
        (errors.TimedOut("No."), 408),
        (errors.GuestFailed("No.", step="boot"), 500),
        (errors.NodeFull("No."), 503),
        (errors.Unavailable("No."), 503),
        (errors.LeaseLost("No."), 503),
        (errors.Conflict("No."), 503),
        (errors.Throttled("No.", retry_after_s=2.5), 503),
        (errors.HostFailed("No."), 500),
        (errors.BadImage("No."), 500),
    ],
)
async def test_each_error_has_its_status_and_its_sentence(
    error: errors.FarmError, status: int
) -> None:
    told: list[errors.FarmError] = []
    answer = await answered(fail(error), told.append)
    assert answer.status == status
    assert answer.body == b"No.\r\n"
    logged_by_auth = isinstance(error, errors.Unauthenticated | errors.Throttled)
    assert told == ([] if logged_by_auth else [error])


def test_a_wrong_password_is_asked_for_again() -> None:
    answer = answer_for(errors.Unauthenticated("No."))
    assert ("WWW-Authenticate", 'Basic realm="QVD"') in answer.headers


def test_a_throttled_client_is_told_when_to_come_back() -> None:
    answer = answer_for(errors.Throttled("Slow down.", retry_after_s=2.5))
    assert ("Retry-After", "3") in answer.headers


async def test_a_bug_says_nothing_to_the_client_and_all_to_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.ERROR):
        answer = await answered(fail(ZeroDivisionError("secret detail")), nobody)
    assert answer.status == 500
    assert b"secret" not in answer.body
    assert "secret detail" in caplog.text


async def test_a_user_is_not_told_what_is_wrong_with_the_configuration() -> None:
    error = errors.BadConfig("permission denied for table vm", key="database.dsn")
    told: list[errors.FarmError] = []
    answer = await answered(fail(error), told.append)
    assert answer.status == 500
    assert b"permission denied" not in answer.body
    assert told == [error]


async def test_what_goes_well_passes() -> None:
    async def work() -> int:
        return 7

    assert await answered(work(), nobody) == 7
