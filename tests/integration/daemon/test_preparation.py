from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, cast

import pytest

from qvdnode.auth.operators import Operators
from qvdnode.auth.settings import AuthSettings
from qvdnode.daemon.preparation import Preparation
from qvdnode.db.nodes import Nodes
from qvdnode.db.pool import Database
from qvdnode.db.tenants import Tenants
from qvdnode.db.users import Users
from qvdnode.model.errors import HostFailed
from tests.fakes.accounts import FakeApiTokens
from tests.fakes.clock import ManualClock

if TYPE_CHECKING:
    from collections.abc import Callable

    from qvdnode.admin.parts import Accounts

pytestmark = pytest.mark.postgres


class SomeAccounts:
    """As much of admin.parts.Accounts as the preparation uses."""

    def __init__(self, database: Database) -> None:
        self.users = Users(database)
        self.operators = Operators(FakeApiTokens(), ManualClock(), AuthSettings())


def preparation(
    database: Database,
    accounts: SomeAccounts,
    state_dir: Path,
    *,
    shared: bool = False,
    follow_rows: "Callable[[], None]" = lambda: None,
) -> Preparation:
    nodes = Nodes(database)
    return Preparation(cast("Accounts", accounts), nodes, state_dir, 1_000_000, shared, follow_rows)


async def test_a_node_says_which_homes_it_has(database: Database, tmp_path: Path) -> None:
    """But those that another node has: a copy left behind is not a home."""
    accounts = SomeAccounts(database)
    tenant = await Tenants(database).by_name("default")
    users = [await accounts.users.create(tenant.id, login, "h") for login in ("ana", "ben", "eva")]
    one, two = [(await Nodes(database).join(name, "boot", "::1")).node_id for name in ("a", "b")]
    homes = tmp_path / "homes"
    for user in users[:2]:
        (homes / str(user.id)).mkdir(parents=True)
    (homes / "9999.img").touch()
    await accounts.users.set_home_node(users[0].id, two)
    followed: list[bool] = []
    follow_rows = partial(followed.append, True)
    await preparation(database, accounts, tmp_path, follow_rows=follow_rows).run(one)
    assert followed
    assert [(await accounts.users.get(user.id)).home_node for user in users] == [two, one, None]
    assert (tmp_path / "admin.token").exists()


async def test_a_node_without_homes_says_nothing(database: Database, tmp_path: Path) -> None:
    await preparation(database, SomeAccounts(database), tmp_path).run(
        (await Nodes(database).join("a", "boot", "::1")).node_id
    )


async def test_homes_that_are_not_mounted_are_not_begun_anew(
    database: Database, tmp_path: Path
) -> None:
    one = (await Nodes(database).join("a", "boot", "::1")).node_id
    (tmp_path / "homes").mkdir()
    with pytest.raises(HostFailed, match="nothing is mounted"):
        await preparation(database, SomeAccounts(database), tmp_path, shared=True).run(one)
