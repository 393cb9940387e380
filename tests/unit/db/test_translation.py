"""What PostgreSQL says, in the farm's words."""

import asyncpg
import pytest

from qvdnode.db.translation import (
    SENTENCES,
    ChangedMeanwhile,
    ConnectionBroken,
    Unanswered,
    translate,
)
from qvdnode.model.errors import BadConfig, Conflict, FarmError, Invalid, Unavailable


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (asyncpg.UniqueViolationError(""), Conflict),
        (asyncpg.ForeignKeyViolationError(""), Conflict),
        (asyncpg.DuplicateTableError(""), Conflict),
        (asyncpg.DuplicateObjectError(""), Conflict),
        (asyncpg.CheckViolationError(""), Invalid),
        (asyncpg.NotNullViolationError(""), Invalid),
        (asyncpg.DataError(""), Invalid),
        (asyncpg.CharacterNotInRepertoireError(""), Invalid),
        (asyncpg.SerializationError(""), ChangedMeanwhile),
        (asyncpg.DeadlockDetectedError(""), ChangedMeanwhile),
        (asyncpg.DiskFullError(""), Unavailable),
        (asyncpg.TooManyConnectionsError(""), Unavailable),
        (asyncpg.QueryCanceledError(""), Unavailable),
        (TimeoutError(), Unanswered),
        (ConnectionResetError(), ConnectionBroken),
        (asyncpg.ConnectionDoesNotExistError(""), ConnectionBroken),
        (asyncpg.InterfaceError("connection is closed"), ConnectionBroken),
        (asyncpg.AdminShutdownError(""), ConnectionBroken),
        (asyncpg.CrashShutdownError(""), ConnectionBroken),
        (asyncpg.CannotConnectNowError(""), ConnectionBroken),
        (asyncpg.ReadOnlySQLTransactionError(""), ConnectionBroken),
    ],
)
def test_each_kind_has_its_word(error: Exception, kind: type[FarmError]) -> None:
    assert type(translate(error)) is kind


def test_a_database_that_was_not_prepared_says_what_to_do() -> None:
    denied = translate(asyncpg.InsufficientPrivilegeError("permission denied for schema public"))
    assert isinstance(denied, BadConfig)
    assert denied.key == "database.dsn"
    assert "permission denied for schema public" in str(denied)
    assert "GRANT ALL ON SCHEMA public" in str(denied)
    missing = translate(asyncpg.UndefinedTableError('relation "vm" does not exist'))
    assert isinstance(missing, BadConfig)
    assert 'relation "vm" does not exist' in str(missing)


@pytest.mark.parametrize(
    "kind", [asyncpg.DataError, asyncpg.CheckViolationError, asyncpg.NotNullViolationError]
)
def test_a_refused_value_is_told_without_the_drivers_words(kind: type[Exception]) -> None:
    refused = translate(kind("invalid input for query argument $1: 7 (value out of int32 range)"))
    assert isinstance(refused, Invalid)
    assert "int32" not in str(refused)


def test_a_bug_stays_a_bug() -> None:
    assert translate(asyncpg.UndefinedColumnError("")) is None


def test_a_broken_constraint_says_what_to_do() -> None:
    error = asyncpg.UniqueViolationError("")
    error.constraint_name = "vm_name_key"
    assert str(translate(error)) == SENTENCES["vm_name_key"]
