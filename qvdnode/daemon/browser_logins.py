"""Wires logins in browsers; `qvdnode init` and the demo make one-time links with it, too."""

from datetime import timedelta

from qvdnode.auth.browser_sessions import BrowserLogins, CacheLimits
from qvdnode.daemon.config import Config
from qvdnode.db.browser_sessions import BrowserSessions, SessionLimits
from qvdnode.db.pool import Database
from qvdnode.runtime.clock import Clock


def browser_sessions(config: Config, database: Database) -> BrowserSessions:
    """The table of logins, with the limits of `[web]`."""
    web = config.web
    limits = SessionLimits(
        life=timedelta(seconds=web.session_life_s),
        idle=timedelta(seconds=web.session_idle_s),
        per_owner_max=web.sessions_per_owner,
    )
    return BrowserSessions(database, limits)


def browser_logins(config: Config, sessions: BrowserSessions, clock: Clock) -> BrowserLogins:
    """What checks logins; while the database is away, one is valid for the idle time at most."""
    away_s = min(config.auth.remember_away_s, config.web.session_idle_s)
    return BrowserLogins(
        sessions,
        clock,
        CacheLimits(config.auth.remember_max, away_s),
        timedelta(seconds=config.web.link_life_s),
    )
