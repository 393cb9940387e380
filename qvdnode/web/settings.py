"""Settings of the web pages."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class WebSettings:
    """The `[web]` section: the web pages at the administrators' port, and logins in browsers."""

    session_life_s: float = 28_800.0
    """How long a login in a browser is valid, however much it is used."""
    session_idle_s: float = 1_800.0
    """How long a login in a browser is valid without a request by its user. What a page reads by
    itself, such as its plots, does not count."""
    sessions_per_owner: int = 20
    """Browsers in which one user, or the owner of one API token, is logged in; one more, and the
    login that was not used for longest ends."""
    link_life_s: float = 600.0
    """How long a one-time link to the administration page is valid."""

    def __post_init__(self) -> None:
        """Check the ranges; raises ValueError."""
        if not 60 <= self.session_idle_s <= self.session_life_s <= 2_592_000:
            raise ValueError("60 <= session_idle_s <= session_life_s <= 2592000 must hold")
        if not 1 <= self.sessions_per_owner <= 1_000:
            raise ValueError("sessions_per_owner must be 1..1000")
        if not 30 <= self.link_life_s <= 86_400:
            raise ValueError("link_life_s must be 30..86400")
