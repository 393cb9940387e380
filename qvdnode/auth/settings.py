"""Settings of authentication."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class AuthSettings:
    """The `[auth]` section."""

    default_tenant: str = "default"
    """Tenant of a login that names none after its last @ or #."""
    hash_threads: int = 2
    """Password checks at once; each takes a core for about 30 ms, and 19 MiB."""
    hash_queue_max: int = 512
    """Password checks that may wait; more are answered with "try again"."""
    remember_s: float = 300.0
    """How long a verified login is valid without asking the database again."""
    remember_away_s: float = 14_400.0
    """The same while the database is away, so that running desktops can still be reached."""
    remember_max: int = 10_000
    """Largest number of cached logins."""
    free_failures: int = 5
    """Failed logins of one account from one address that cost no waiting. The same password five
    times within a minute is one failure, since old clients send it so. In IPv6 a /64 counts as one
    address; a /56 and a /48 have four and sixteen times its limits."""
    source_free_accounts: int = 20
    """Accounts that may fail from one address within an hour, and not log in after it, before
    others there are checked one at a time and with a pause of up to 10 s. Every ten accounts that
    have logged in from there within a week allow one more. Those accounts are counted apart, so
    that other clients do not delay them."""
    delay_max_s: float = 60.0
    """Longest wait after more failures; it doubles from one second."""
    token_life_s: float = 86_400.0
    """How long after a login with a password its tokens are good. A token that was made with a
    token ends with it, so that a stolen one does not live for ever. With one day people log in
    with their password once in the morning."""
    tokens_per_user: int = 20
    """Tokens that one user may have; one more, and the oldest is deleted. Each client that stores
    its login takes one."""

    def __post_init__(self) -> None:
        """Check the ranges; raises ValueError."""
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
        if not 1 <= self.source_free_accounts <= 100_000:
            raise ValueError("source_free_accounts must be 1..100000")
        if not 60 <= self.token_life_s <= 31_536_000:
            raise ValueError("token_life_s must be 60..31536000")
        if not 1 <= self.tokens_per_user <= 10_000:
            raise ValueError("tokens_per_user must be 1..10000")
        if not 1 <= self.delay_max_s <= 86_400:
            raise ValueError("delay_max_s must be 1..86400")
