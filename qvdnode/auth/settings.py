"""Settings of logins."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class AuthSettings:
    """The `[auth]` section."""

    default_tenant: str = "default"
    """Tenant of a login that names none after its last @ or #."""
    hash_threads: int = 2
    """Password checks at once; each takes a core for some 30 ms, and 19 MiB."""
    hash_queue_max: int = 512
    """Password checks that may wait; more are answered with "try again"."""
    remember_s: float = 300.0
    """How long a checked login is good without asking the database again."""
    remember_away_s: float = 14_400.0
    """The same while the database is away, so that running desktops can still be reached."""
    remember_max: int = 10_000
    """Checked logins remembered at most."""
    free_failures: int = 5
    """Failed logins of one account from one address that cost no waiting; old clients try the same
    password five times."""
    delay_max_s: float = 60.0
    """Longest wait after more failures; it doubles from one second."""

    def __post_init__(self) -> None:
        """Refuse what could not work."""
        if not 1 <= self.hash_threads <= 64:
            raise ValueError("hash_threads must be 1..64")
        if not 1 <= self.hash_queue_max <= 100_000:
            raise ValueError("hash_queue_max must be 1..100000")
        if not 0 <= self.remember_s <= self.remember_away_s:
            raise ValueError("remember_s must be 0..remember_away_s")
        if not 1 <= self.remember_max <= 10_000_000:
            raise ValueError("remember_max must be 1..10000000")
        if not 1 <= self.free_failures <= 1_000:
            raise ValueError("free_failures must be 1..1000")
        if not 1 <= self.delay_max_s <= 86_400:
            raise ValueError("delay_max_s must be 1..86400")
