"""Translates errors of PostgreSQL and asyncpg to FarmErrors with messages for people."""

from collections.abc import Callable
from typing import Final

import asyncpg

from qvdnode.model.errors import BadConfig, Conflict, FarmError, Invalid, Unavailable

AWAY: Final = (
    "The database is away; running desktops go on, new ones can be started when it is back."
)
SLOW: Final = "The database took too long to answer; try again in a moment."
BUSY: Final = "The database is busy; try again in a moment."
MEANWHILE: Final = "Somebody else changed the same thing just now; try again."
DENIED: Final = (
    "The database lets this node's role do too little ({}). Give the role a database of its own, as"
    " superuser: ALTER DATABASE name OWNER TO role; GRANT ALL ON SCHEMA public TO role;"
)
NO_TABLES: Final = (
    "The database lacks a table of the farm ({}). Look whether database.dsn names the right one,"
    " and start the node again, which makes them."
)
TAKEN: Final = (
    "The database holds something of that name already ({}): give the farm a database of its own."
)
ODD_VALUE: Final = "The database refuses a value of this request; the node's log says which."
FULL: Final = "The database has no room left on its disk; its administrator must make some."

SENTENCES: Final[dict[str, str]] = {
    "tenant_name_key": "There is a tenant of that name already.",
    "app_user_login_key": "The tenant has a user of that login already.",
    "app_user_tenant_fkey": "The tenant still has users; delete them first.",
    "flavour_name_key": "The tenant has a flavour of that name already.",
    "flavour_tenant_fkey": "The tenant still has flavours; delete them first.",
    "flavour_image_fkey": "A flavour still uses the image; change or delete it first.",
    "image_name_key": "There is an image of that name already.",
    "vm_name_key": "The user has a VM of that name already.",
    "vm_user_fkey": "The user still has VMs; delete them first.",
    "vm_flavour_fkey": "A VM is still of that flavour; delete it first.",
    "node_name_key": "Another node of the farm has that name; set another [node] name.",
    "api_token_name_key": "There is a token of that name already.",
}
"""What a broken constraint means. Rows are inserted by reading their parents in the same
statement, so a broken foreign key always means that something is still in use."""


class ConnectionBroken(Unavailable):
    """The connection died; the statement may or may not have run."""


class CommitUnknown(Unavailable):
    """The connection died while committing: read the row again before doing anything."""


class ChangedMeanwhile(Conflict):
    """A conflict with a concurrent transaction; a repetition will probably succeed."""


class Unanswered(Unavailable):
    """No answer within the client's limit, which is longer than the server's own."""


TABLE: Final[tuple[tuple[type[Exception], Callable[[], FarmError]], ...]] = (
    (TimeoutError, lambda: Unanswered(SLOW)),  # before OSError, its base class
    (OSError, lambda: ConnectionBroken(AWAY)),
    (asyncpg.InterfaceError, lambda: ConnectionBroken(AWAY)),
    (asyncpg.InternalClientError, lambda: ConnectionBroken(AWAY)),
    (asyncpg.PostgresConnectionError, lambda: ConnectionBroken(AWAY)),
    (asyncpg.AdminShutdownError, lambda: ConnectionBroken(AWAY)),
    (asyncpg.CrashShutdownError, lambda: ConnectionBroken(AWAY)),
    (asyncpg.CannotConnectNowError, lambda: ConnectionBroken(AWAY)),
    (asyncpg.IdleInTransactionSessionTimeoutError, lambda: ConnectionBroken(AWAY)),
    # the server is read-only now: its connections are useless
    (asyncpg.ReadOnlySQLTransactionError, lambda: ConnectionBroken(AWAY)),
    (asyncpg.QueryCanceledError, lambda: Unavailable(SLOW)),
    (asyncpg.LockNotAvailableError, lambda: Unavailable(BUSY)),
    (asyncpg.SerializationError, lambda: ChangedMeanwhile(MEANWHILE)),
    (asyncpg.DeadlockDetectedError, lambda: ChangedMeanwhile(MEANWHILE)),
    (asyncpg.DiskFullError, lambda: Unavailable(FULL)),
    (asyncpg.InsufficientResourcesError, lambda: Unavailable(BUSY)),
)
"""The first matching row decides."""


def translate(error: Exception) -> FarmError | None:
    """The farm's error for one raised by a statement, or None for a bug.

    Only BadConfig and errors of creating tables contain the driver's text, for the administrator
    who starts a node. Clients never see it.
    """
    # a value asyncpg cannot send is an InterfaceError too, but the connection is fine
    if isinstance(error, asyncpg.DataError | ValueError):
        return Invalid(ODD_VALUE)
    if isinstance(error, asyncpg.InsufficientPrivilegeError):
        return BadConfig(DENIED.format(error), key="database.dsn")
    if isinstance(error, asyncpg.UndefinedTableError):
        return BadConfig(NO_TABLES.format(error), key="database.dsn")
    # also raised when two transactions create the same thing
    if isinstance(error, asyncpg.DuplicateTableError | asyncpg.DuplicateObjectError):
        return Conflict(TAKEN.format(error))
    if isinstance(error, asyncpg.IntegrityConstraintViolationError):
        return _constraint(error)
    return next((make() for kind, make in TABLE if isinstance(error, kind)), None)


def _constraint(error: asyncpg.IntegrityConstraintViolationError) -> FarmError:
    name = getattr(error, "constraint_name", None) or ""
    if isinstance(error, asyncpg.CheckViolationError | asyncpg.NotNullViolationError):
        return Invalid(ODD_VALUE)
    return Conflict(SENTENCES.get(name, f"It exists already or is still in use ({name})."))
