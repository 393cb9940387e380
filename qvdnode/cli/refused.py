"""What a node answers instead of doing what it was asked."""

from collections.abc import Mapping
from typing import Any

from qvdnode.model.errors import FarmError


class Refused(FarmError):
    """The node answered with a problem; `problem_code` is its stable code."""

    def __init__(self, problem: Mapping[str, Any]) -> None:
        super().__init__(str(problem.get("detail") or problem.get("title") or "The node refused."))
        self.problem_code = str(problem.get("code", "error"))
