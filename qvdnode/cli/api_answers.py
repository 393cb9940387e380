"""Parses the answers of a node's API; invalid bytes mean that no node answered."""

import json
from collections.abc import Mapping
from typing import Any, Final

from qvdnode.model.errors import FarmError, Unavailable

Json = dict[str, Any]

FIRST_BAD_STATUS: Final = 400


class Refused(FarmError):
    """The node answered with a problem; `problem_code` is its stable code."""

    def __init__(self, problem: Mapping[str, Any]) -> None:
        super().__init__(str(problem.get("detail") or problem.get("title") or "The node refused."))
        self.problem_code = str(problem.get("code", "error"))


def content(status: int, body: bytes) -> Json:
    """Return the object in an answer; raises Refused for a problem, Unavailable for other bytes."""
    said = _object(status, body or b"{}")
    if status >= FIRST_BAD_STATUS:
        raise Refused(said)
    return said


def import_line(line: bytes) -> tuple[int | None, Json | None]:
    """Return the bytes received so far, or the version, of one line; raises like `content`."""
    said = _object(200, line)
    problem, version, progress = (said.get(key) for key in ("problem", "version", "progress"))
    if isinstance(problem, dict):
        raise Refused(problem)
    return (
        progress if isinstance(progress, int) else None,
        version if isinstance(version, dict) else None,
    )


def _object(status: int, body: bytes) -> Json:
    try:
        said = json.loads(body)
    except (ValueError, RecursionError):
        said = None
    if not isinstance(said, dict):
        raise Unavailable(
            f"The server there is not a qvdnode's admin port (it answered {status})."
            " The admin port is 8444 unless configured."
        )
    return said
