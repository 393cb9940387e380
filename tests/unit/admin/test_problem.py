import json

from qvdnode.admin import problem
from qvdnode.model import errors
from qvdnode.model.errors import (
    BadConfig,
    FarmError,
    Invalid,
    Throttled,
    Unauthenticated,
    Unavailable,
)
from qvdnode.telemetry.correlation import correlated


def kinds() -> list[type[FarmError]]:
    found = FarmError.__subclasses__()
    for kind in found:
        found += kind.__subclasses__()
    return [kind for kind in found if kind.__module__.startswith("qvdnode.")]


def test_every_error_of_the_model_has_a_status() -> None:
    known = [kind for kind in kinds() if kind.__module__ == errors.__name__]
    assert [kind for kind in known if problem.error_answer(kind) is problem.INTERNAL] == []


def test_codes_are_stable_words_of_their_own() -> None:
    codes = [kind.code for kind in problem.ERROR_ANSWERS]
    assert len(set(codes)) == len(codes)
    assert problem.INTERNAL_CODE not in codes


def test_statuses_say_whose_fault_it_is() -> None:
    assert all(400 <= kind.status <= 599 for kind in problem.ERROR_ANSWERS.values())


def test_a_problem_names_the_field_and_the_correlation() -> None:
    with correlated("abc"):
        answer = problem.answer_error(Invalid("Too long.", field="name"))
    assert answer.status == 422
    assert answer.content_type == "application/problem+json"
    assert isinstance(answer.body, bytes)
    assert json.loads(answer.body) == {
        "type": "about:blank",
        "title": "The request has invalid values",
        "status": 422,
        "code": "invalid",
        "detail": "Too long.",
        "field": "name",
        "correlation": "abc",
    }


def test_a_caller_is_not_told_what_is_wrong_with_the_configuration() -> None:
    answer = problem.answer_error(BadConfig("permission denied for table vm", key="database.dsn"))
    assert answer.status == 500
    assert isinstance(answer.body, bytes)
    assert b"permission denied" not in answer.body


def test_a_refused_login_says_how_to_log_in() -> None:
    answer = problem.answer_error(Unauthenticated("Who are you?"))
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")


def test_a_throttled_caller_learns_when_to_come_back() -> None:
    answer = problem.answer_error(Throttled("Slow down.", retry_after_s=0.2))
    assert (answer.status, answer.headers["Retry-After"]) == (429, "1")


def test_a_subclass_is_answered_like_its_parent() -> None:
    class DatabaseAway(Unavailable):
        pass

    assert problem.problem_of(DatabaseAway("Later.")).status == 503


def test_a_bug_is_not_told() -> None:
    assert problem.internal_problem().status == 500
    assert problem.internal_problem().code == problem.INTERNAL_CODE
