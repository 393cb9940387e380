"""A login in a browser, which the browser proves with a cookie."""

from dataclasses import dataclass, field
from datetime import datetime

from qvdnode.model.principal import Operator, Principal


@dataclass(frozen=True, slots=True)
class BrowserSession:
    """One login, until it ends, is idle for too long or is revoked."""

    id: int
    owner: Operator | Principal
    source: str
    """The address that logged in."""
    agent: str
    """What the browser calls itself."""
    created_at: datetime
    seen_at: datetime = field(compare=False)
    """The last request by its user, to a minute."""
    ends_at: datetime
    unseen_s: float = field(default=0.0, compare=False)
    """How long before it was read that last request was, by the database's clock."""
