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

NOTICES = "change_notices"
"""In the names of steps with triggers: they tell pages that a row has changed, and decide nothing
(docs/decisions/0027-logins-in-browsers.md)."""


def test_the_files_are_numbered_without_a_gap() -> None:
    assert [step.number for step in steps()] == list(range(1, len(steps()) + 1))


@pytest.mark.parametrize("step", steps(), ids=lambda step: step.name)
def test_a_file_keeps_to_the_portable_subset(step: object) -> None:
    sql = getattr(step, "sql", "")
    statements = re.sub(r"--.*", "", sql).lower()
    if NOTICES in getattr(step, "name", ""):
        triggers = re.findall(r"create trigger (\w+) after", statements)
        assert statements.count("create trigger") == len(triggers)
        assert all(name.startswith("notify_") for name in triggers)
        assert not re.search(r"\b(insert into|update \w+ set|delete from|raise)\b", statements)
        return
    assert REFUSED.findall(statements) == []


def test_a_schema_of_this_program_or_older_is_fine() -> None:
    refuse_newer(3, 4)
    refuse_newer(4, 4)


def test_a_newer_schema_is_refused_with_both_numbers() -> None:
    with pytest.raises(BadConfig, match=r"schema 5.*up to 4"):
        refuse_newer(5, 4)
