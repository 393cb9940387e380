"""The networks from which users have logged in lately, for all nodes of a farm."""

from datetime import timedelta
from typing import Final

from qvdnode.db.pool import Database
from qvdnode.model.familiar_login import FamiliarLogin
from qvdnode.model.ids import UserId

PER_USER_MAX: Final = 20
"""Networks stored for one user: the most recent ones."""
WRITTEN_EVERY: Final = timedelta(days=1)
KEPT: Final = timedelta(days=7) + WRITTEN_EVERY
READ_MAX: Final = 5_000
"""Users read for one network, the most recent ones."""

NOTE: Final = """
WITH gone AS (
    DELETE FROM familiar_source WHERE user_id = $1 AND network <> $2 AND (
        seen_at < clock_timestamp() - $3::interval
        OR network IN (
            SELECT network FROM familiar_source WHERE user_id = $1 AND network <> $2
            ORDER BY seen_at DESC OFFSET $5
        )
    )
)
INSERT INTO familiar_source AS f (user_id, network)
SELECT u.id, $2 FROM app_user u WHERE u.id = $1
ON CONFLICT ON CONSTRAINT familiar_source_pkey DO UPDATE SET seen_at = clock_timestamp()
WHERE f.seen_at < clock_timestamp() - $4::interval
"""
OF_NETWORK: Final = """
SELECT u.login, t.name AS tenant,
       extract(epoch FROM clock_timestamp() - f.seen_at - $3::interval)::float8 AS age_s
FROM familiar_source f JOIN app_user u ON u.id = f.user_id JOIN tenant t ON t.id = u.tenant_id
WHERE f.network = $1 AND f.seen_at > clock_timestamp() - $2::interval
ORDER BY f.seen_at DESC LIMIT $4
"""


class FamiliarSources:
    """The table of familiar sources."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def note(self, user_id: UserId, network: str) -> None:
        """The user has logged in from there; writes only what is older than a day."""
        await self._db.execute(
            NOTE, user_id, network, KEPT, WRITTEN_EVERY, PER_USER_MAX - 1, idempotent=True
        )

    async def of_network(self, network: str) -> list[FamiliarLogin]:
        """Who has logged in from there within a week, the last one first."""
        rows = await self._db.fetch(
            OF_NETWORK, network, KEPT, WRITTEN_EVERY, READ_MAX, idempotent=True
        )
        return [FamiliarLogin(r["login"], r["tenant"], max(0.0, r["age_s"])) for r in rows]
