"""The expected errors of the farm.

Each error has a stable `code` (docs/errors.md lists them) and a message that a person can act on.
Each interface translates them in one place: broker/boundary.py for QVD clients, admin/problem.py
for REST, cli/exit_codes.py for commands. Bugs stay built-in exceptions.
"""

from typing import ClassVar

from qvdnode.model.ids import Generation


class FarmError(Exception):
    """Base of all expected errors; only its subclasses are raised."""

    code: ClassVar[str] = "error"


class Unauthenticated(FarmError):
    """The credentials are wrong, or the account, its tenant or its token may not log in."""

    code = "unauthenticated"


class Forbidden(FarmError):
    """The caller is authenticated, but may not do this."""

    code = "forbidden"


class NotFound(FarmError):
    """The object does not exist, or the caller may not see it."""

    code = "not_found"


class Invalid(FarmError):
    """The request has an invalid value; `field` names the part to change."""

    code = "invalid"

    def __init__(self, message: str, *, field: str | None = None) -> None:
        super().__init__(message)
        self.field = field


class Conflict(FarmError):
    """The object exists already, is in use, or has changed meanwhile."""

    code = "conflict"


class Throttled(FarmError):
    """Too many attempts; nothing was checked."""

    code = "throttled"

    def __init__(self, message: str, *, retry_after_s: float) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class NodeFull(FarmError):
    """No capacity for one more desktop; nothing was started."""

    code = "node_full"


class HomeFull(FarmError):
    """The user's home has no room for a file; what has arrived of it is kept."""

    code = "home_full"


class NodeBusy(NodeFull):
    """No start slot is free on this node, and the order may not wait for one; ask another node."""

    code = "node_busy"

    def __init__(self, message: str, *, waiting: int) -> None:
        super().__init__(message)
        self.waiting = waiting
        """How many desktops wait there for a slot."""


class Unavailable(FarmError):
    """The database, the network or a node is not available now; try again later."""

    code = "unavailable"


class AcquireUnknown(Unavailable):
    """The database went away while a VM was acquired: this node may own it in this `generation`.

    Do not start it, and release it when the database is back.
    """

    def __init__(self, message: str, generation: Generation) -> None:
        super().__init__(message)
        self.generation = generation


class TimedOut(FarmError):
    """The operation exceeded its time limit; it has been undone."""

    code = "timed_out"


class LeaseLost(FarmError):
    """This node does not own the VM any more (another generation, or its lease expired)."""

    code = "lease_lost"


class GuestFailed(FarmError):
    """The guest or its desktop did not start, or died; `step` names the step that failed."""

    code = "guest_failed"

    def __init__(self, message: str, *, step: str) -> None:
        super().__init__(message)
        self.step = step


class HostFailed(FarmError):
    """An operation on the host failed (mount, link, rule, disk)."""

    code = "host_failed"


class PartGone(HostFailed):
    """A part of a guest is lost; unlike other failures of the host, trying again cannot help."""


class BadImage(FarmError):
    """The image cannot be imported or used; the message says what is wrong with it."""

    code = "bad_image"


class BadConfig(FarmError):
    """The configuration is wrong; `key` is the path of the key."""

    code = "bad_config"

    def __init__(self, message: str, *, key: str | None = None) -> None:
        super().__init__(message)
        self.key = key
