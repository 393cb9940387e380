"""A server's refusals become our errors, with its sentence."""

import pytest

from qvdnode.client.core.refusal import PERMANENT, error_of
from qvdnode.model.errors import (
    FarmError,
    Forbidden,
    GuestFailed,
    Invalid,
    NotFound,
    TimedOut,
    Unauthenticated,
    Unavailable,
)
from qvdnode.wire.qvd_client import Answered


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, Invalid),
        (401, Unauthenticated),
        (403, Forbidden),
        (404, NotFound),
        (408, TimedOut),
        (422, Invalid),
        (426, Invalid),
        (500, GuestFailed),
        (502, Unavailable),
        (503, Unavailable),
        (505, Invalid),
        (302, GuestFailed),
    ],
)
def test_each_status_has_a_meaning(status: int, kind: type[FarmError]) -> None:
    assert type(error_of(Answered(status, {}, b"Because."))) is kind


def test_the_servers_sentence_is_kept_on_one_line() -> None:
    assert str(error_of(Answered(503, {}, b"Full,\r\n retry later.\r\n"))) == "Full, retry later."


def test_a_sentence_without_end_is_cut() -> None:
    assert len(str(error_of(Answered(503, {}, b"x" * 1_000_000)))) == 1_000


def test_a_silent_refusal_still_says_something() -> None:
    assert "418" in str(error_of(Answered(418, {}, b"")))


def test_an_error_that_waiting_cannot_repair_is_permanent() -> None:
    assert isinstance(error_of(Answered(401, {}, b"")), PERMANENT)
    assert isinstance(error_of(Answered(403, {}, b"")), PERMANENT)
    assert not isinstance(error_of(Answered(503, {}, b"")), PERMANENT)
    assert not isinstance(error_of(Answered(408, {}, b"")), PERMANENT)
