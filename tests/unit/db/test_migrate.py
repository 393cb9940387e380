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


EXPANDING_SINCE = next(step.number for step in steps() if step.name.endswith("schema_needs.sql"))
"""Before it no program went on with a newer schema."""
TAKES_AWAY = re.compile(
    r"\b(drop (table|column|constraint|index)|rename|alter column \w+ (type|set not null|drop)"
    r"|add column (if not exists )?\w+ [^,;]*not null(?![^,;]*default))\b"
)


@pytest.mark.parametrize("step", steps()[EXPANDING_SINCE - 1 :], ids=lambda step: step.name)
def test_a_file_only_adds_or_says_which_program_it_needs(step: object) -> None:
    """A node of the release before runs on, and starts again, while a farm is upgraded."""
    name, sql = getattr(step, "name", ""), getattr(step, "sql", "")
    statements = re.sub(r"--.*", "", sql).lower()
    needs = f"set needs = {getattr(step, 'number', 0)}" in statements
    assert needs or not TAKES_AWAY.search(statements), name


@pytest.mark.parametrize(
    ("statement", "takes"),
    [
        ("alter table vm drop column name", True),
        ("alter table vm rename column name to title", True),
        ("alter table vm alter column name set not null", True),
        ("alter table vm add column x integer not null", True),
        ("alter table vm add column x integer not null default 0", False),
        ("alter table vm add column x integer", False),
        ("create table x (id integer not null)", False),
    ],
)
def test_what_takes_something_away_is_noticed(statement: str, takes: bool) -> None:
    assert bool(TAKES_AWAY.search(statement)) is takes
