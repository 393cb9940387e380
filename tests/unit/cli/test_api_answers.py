"""Answers of a node's API, and of what is none."""

import pytest

from qvdnode.cli.api_answers import Refused, content, import_line
from qvdnode.model.errors import Unavailable


def test_an_answer_is_an_object() -> None:
    assert content(200, b'{"id": 1}') == {"id": 1}
    assert content(204, b"") == {}


def test_a_problem_is_told_in_its_own_words() -> None:
    with pytest.raises(Refused, match="No such thing") as refused:
        content(404, b'{"detail": "No such thing.", "code": "not_found"}')
    assert refused.value.problem_code == "not_found"


@pytest.mark.parametrize("status", [200, 404])
@pytest.mark.parametrize("body", [b"<html>", b"[1]", b"7", b"\xff", b"[" * 100_000])
def test_an_answer_of_another_server_is_reported(status: int, body: bytes) -> None:
    with pytest.raises(Unavailable, match="not a qvdnode's admin port"):
        content(status, body)


def test_an_import_tells_its_progress_and_its_end() -> None:
    assert import_line(b'{"progress": 5}\n') == (5, None)
    assert import_line(b'{"version": {"version": 1}}\n') == (None, {"version": 1})
    assert import_line(b'{"progress": null, "version": 3}\n') == (None, None)
    with pytest.raises(Refused, match="Broken"):
        import_line(b'{"problem": {"detail": "Broken."}}\n')
