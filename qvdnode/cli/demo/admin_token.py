"""The demo's API token: issued again if it was revoked or its file was removed."""

from qvdnode.auth.operators import Operators
from qvdnode.cli.demo.plan import DemoPlan
from qvdnode.daemon.first_token import ensure_working_token
from qvdnode.daemon.load import load
from qvdnode.daemon.opening import open_database
from qvdnode.db.api_tokens import ApiTokens
from qvdnode.runtime.clock import Clock


async def working_token(plan: DemoPlan, clock: Clock) -> str:
    """Return a token that the running demo node accepts; raises Unavailable, HostFailed."""
    config = load(plan.config_file, {})
    async with open_database(config, clock, visiting=True, may_restart=False) as db:
        operators = Operators(ApiTokens(db), clock, config.auth)
        file = await ensure_working_token(operators, plan.state_dir)
    return file.read_text(encoding="ascii").strip()
