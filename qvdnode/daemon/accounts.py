"""Puts together who may use the node: users, operators, browsers, and how they prove it."""

import random
import secrets
from datetime import timedelta

from qvdnode.admin.parts import Accounts
from qvdnode.auth.authenticator import Authenticator
from qvdnode.auth.operators import Operators
from qvdnode.auth.passwords import PasswordHasher
from qvdnode.auth.ports import LoginStores
from qvdnode.daemon.browser_logins import browser_logins, browser_sessions
from qvdnode.daemon.config import Config
from qvdnode.db.api_tokens import ApiTokens
from qvdnode.db.familiar_sources import FamiliarSources
from qvdnode.db.pool import Database
from qvdnode.db.tenants import Tenants
from qvdnode.db.user_tokens import UserTokens
from qvdnode.db.users import Users
from qvdnode.runtime.clock import Clock


def build_accounts(config: Config, database: Database, clock: Clock) -> Accounts:
    """All of them; nothing is read yet."""
    hasher = PasswordHasher(threads=config.auth.hash_threads, queue_max=config.auth.hash_queue_max)
    users = Users(database)
    api_tokens = ApiTokens(database)
    sessions = browser_sessions(config, database)
    return Accounts(
        tenants=Tenants(database),
        users=users,
        authenticator=Authenticator(
            LoginStores(users, user_tokens(config, database), FamiliarSources(database)),
            hasher,
            clock,
            config.auth,
            random.Random(secrets.randbits(64)),
        ),
        hasher=hasher,
        operators=Operators(api_tokens, clock, config.auth),
        api_tokens=api_tokens,
        browsers=browser_logins(config, sessions, clock),
        browser_sessions=sessions,
    )


def user_tokens(config: Config, database: Database) -> UserTokens:
    """What users prove with that they have logged in."""
    auth = config.auth
    return UserTokens(
        database,
        life=timedelta(seconds=auth.token_life_s),
        per_user_max=auth.tokens_per_user,
    )
