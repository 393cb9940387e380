"""A demo whose token was revoked, or taken away."""

import random
import shutil
from collections.abc import AsyncIterator
from ipaddress import IPv4Network

import pytest

from qvdnode.auth.operators import Operators
from qvdnode.auth.settings import AuthSettings
from qvdnode.cli.demo.admin_token import working_token
from qvdnode.cli.demo.plan import DemoPlan, config_text
from qvdnode.daemon.first_token import ensure_first_token
from qvdnode.db.api_tokens import ApiTokens
from qvdnode.db.embedded import EmbeddedPostgres
from qvdnode.db.migrate import migrate
from qvdnode.db.pool import Database
from qvdnode.db.settings import DatabaseSettings
from qvdnode.model.errors import Unauthenticated
from qvdnode.model.listing import Page
from qvdnode.runtime.clock import SystemClock
from tests.fixtures_postgres import state_folder

pytestmark = [pytest.mark.postgres, pytest.mark.timeout(90)]


@pytest.fixture
def plan() -> DemoPlan:
    return DemoPlan(state_folder(), "demo", None, 0, 0, None, once=True)


@pytest.fixture
async def tokens(plan: DemoPlan) -> AsyncIterator[ApiTokens]:
    """The database of a demo that was begun, with its first token."""
    plan.folder.mkdir()
    plan.config_file.write_text(config_text(plan, IPv4Network("10.9.0.0/24"), 1 << 20))
    server = EmbeddedPostgres(DatabaseSettings(state_dir=plan.state_dir), SystemClock())
    db = await Database.open(
        await server.start(), DatabaseSettings(), SystemClock(), random.Random(1)
    )
    await migrate(db)
    await ensure_first_token(operators(ApiTokens(db)), plan.state_dir)
    yield ApiTokens(db)
    await db.close()
    await server.stop()
    shutil.rmtree(plan.state_dir)


def operators(tokens: ApiTokens) -> Operators:
    return Operators(tokens, SystemClock(), AuthSettings())


async def test_one_that_works_is_used_again(plan: DemoPlan, tokens: ApiTokens) -> None:
    assert await working_token(plan, SystemClock()) == plan.token_file.read_text().strip()
    assert len((await tokens.list(Page())).items) == 1


@pytest.mark.parametrize("taken", [True, False])
async def test_one_that_was_revoked_is_made_anew(
    plan: DemoPlan, tokens: ApiTokens, taken: bool
) -> None:
    old = plan.token_file.read_text().strip()
    (first,) = (await tokens.list(Page())).items
    await tokens.delete(first.id)
    if taken:
        plan.token_file.unlink()
    with pytest.raises(Unauthenticated):
        await operators(tokens).operator(old)
    token = await working_token(plan, SystemClock())
    assert (await operators(tokens).operator(token)).name.startswith("first-admin")
    assert plan.token_file.read_text().strip() == token
