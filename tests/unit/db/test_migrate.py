"""The schema's files and the SQL they may use."""

import re

import pytest

from qvdnode.db.migrate import refuse_newer, steps
from qvdnode.model.errors import BadConfig

# what would tie the farm to one engine, or hide logic in the database
REFUSED = re.compile(
    r"\b(trigger|advisory|listen|notify|unlogged|inherits|exclude|deferrable|plpgsql|function"
    r"|serial|bigserial|temp|temporary|lock table|gist|generated always|rule|xml)\b"
)


def test_the_files_are_numbered_without_a_gap() -> None:
    assert [step.number for step in steps()] == list(range(1, len(steps()) + 1))


@pytest.mark.parametrize("step", steps(), ids=lambda step: step.name)
def test_a_file_keeps_to_the_portable_subset(step: object) -> None:
    sql = getattr(step, "sql", "")
    statements = re.sub(r"--.*", "", sql).lower()
    assert REFUSED.findall(statements) == []


def test_a_schema_of_this_program_or_older_is_fine() -> None:
    refuse_newer(3, 4)
    refuse_newer(4, 4)


def test_a_newer_schema_is_refused_with_both_numbers() -> None:
    with pytest.raises(BadConfig, match=r"schema 5.*up to 4"):
        refuse_newer(5, 4)
