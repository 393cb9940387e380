"""Settings of the database connection, and of the embedded server."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class DatabaseSettings:
    """The `[database]` section."""

    dsn: str = ""
    """`postgresql://user:password@host1:5432,host2:5432/name`; several hosts are tried in turn for
    the one that takes writes. Empty: the node runs a PostgreSQL of its own in its state folder."""
    connections_max: int = 10
    """Most connections this node opens at once, beside one that hears of changes while somebody
    watches."""
    lent_connections: int = 40
    """Connections that the embedded server keeps for other nodes, which reach it through this one;
    each of them may use its `connections_max`."""
    connect_limit_s: float = 2.0
    """Longest time spent on one host before the next is tried."""
    statement_limit_s: float = 5.0
    """Longest time of one statement, including the network."""
    system_user: str = "qvdnode-pg"
    """System account that the embedded server runs as; made if it is missing."""
    reserve_mib: int = 64
    """Disk space kept beside the embedded server, and released when the disk is full so that the
    server can recover; 0 keeps none."""
    state_dir: Path = Path("/var/lib/qvdnode")
    """Where the embedded server lives, under `pg/`."""

    def __post_init__(self) -> None:
        """Check the values; raises ValueError."""
        if not 2 <= self.connections_max <= 100:
            raise ValueError("connections_max must be 2..100")
        if not 0 <= self.lent_connections <= 1000:
            raise ValueError("lent_connections must be 0..1000")
        if not 0.1 <= self.connect_limit_s <= 30:
            raise ValueError("connect_limit_s must be 0.1..30")
        if not 0.5 <= self.statement_limit_s <= 300:
            raise ValueError("statement_limit_s must be 0.5..300")
        if not 0 <= self.reserve_mib <= 4096:
            raise ValueError("reserve_mib must be 0..4096")
        if not self.system_user:
            raise ValueError("system_user must name an account")
