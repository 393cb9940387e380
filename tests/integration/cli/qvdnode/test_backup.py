"""`qvdnode backup` and `qvdnode restore`, on an embedded server of their own."""

import asyncio
import random
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from qvdnode.auth.operators import Operators
from qvdnode.auth.settings import AuthSettings
from qvdnode.cli.exit_codes import ExitCode
from qvdnode.cli.qvdnode.backup import backup_command, restore_command
from qvdnode.cli.qvdnode.program import app
from qvdnode.daemon.state_lock import StateLock
from qvdnode.db.api_tokens import ApiTokens
from qvdnode.db.embedded import EmbeddedPostgres
from qvdnode.db.migrate import migrate
from qvdnode.db.pool import Database
from qvdnode.db.postmaster import running_server
from qvdnode.db.settings import DatabaseSettings
from qvdnode.db.tenants import Tenants
from qvdnode.db.users import Users
from qvdnode.model.errors import Conflict, NotFound
from qvdnode.model.ids import TenantId, UserId
from qvdnode.model.listing import Page
from qvdnode.runtime.clock import SystemClock
from tests.fixtures_postgres import state_folder

pytestmark = [pytest.mark.postgres, pytest.mark.timeout(90)]


class Node:
    """A state folder with its configuration file."""

    def __init__(self) -> None:
        self.state = state_folder()
        self.config = self.state / "node.toml"
        self.config.write_text(f'[node]\nname = "one"\nstate_dir = "{self.state}"\n')
        self.embedded = EmbeddedPostgres(DatabaseSettings(state_dir=self.state), SystemClock())

    def serves(self) -> bool:
        return running_server(self.state / "pg" / "data") is not None

    async def _open(self) -> Database:
        dsn = await self.embedded.start()
        return await Database.open(dsn, DatabaseSettings(), SystemClock(), random.Random(1))

    async def make_tenant(self, name: str) -> None:
        db = await self._open()
        await migrate(db)
        await Tenants(db).create(name)
        await db.close()

    async def make_user(self, login: str) -> UserId:
        db = await self._open()
        await migrate(db)
        user = await Users(db).create(TenantId(1), login, "x")
        await db.close()
        return user.id

    async def tenants(self) -> list[str]:
        db = await self._open()
        found = await Tenants(db).list(Page())
        await db.close()
        return [tenant.name for tenant in found.items]

    async def operator(self, token: str) -> str:
        db = await self._open()
        operators = Operators(ApiTokens(db), SystemClock(), AuthSettings())
        found = await operators.operator(token)
        await db.close()
        return found.name

    def remove(self) -> None:
        asyncio.run(self.embedded.stop())
        shutil.rmtree(self.state)


@pytest.fixture
def node() -> Iterator[Node]:
    made = Node()
    yield made
    made.remove()


@pytest.fixture
def other() -> Iterator[Node]:
    made = Node()
    yield made
    made.remove()


def test_a_backup_of_a_serving_node_goes_into_a_new_one(
    node: Node, other: Node, tmp_path: Path
) -> None:
    asyncio.run(node.make_tenant("acme"))
    identity = node.state / "tls"
    identity.mkdir()
    (identity / "key.pem").write_text("secret")
    backup_command(tmp_path / "b.tar", node.config, identity=True)
    assert node.serves()
    restore_command(tmp_path / "b.tar", other.config, identity=True)
    assert not other.serves()
    assert asyncio.run(other.tenants()) == ["default", "acme"]
    key = other.state / "tls" / "key.pem"
    assert (key.read_text(), key.stat().st_mode & 0o777) == ("secret", 0o600)


def test_a_certificate_that_is_there_stays_without_force(
    node: Node, other: Node, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asyncio.run(node.make_tenant("acme"))
    key = node.state / "tls" / "key.pem"
    key.parent.mkdir()
    key.write_text("old")
    backup_command(tmp_path / "b.tar", node.config, identity=True)
    (other.state / "tls").mkdir()
    key = other.state / "tls" / "key.pem"
    key.write_text("new")
    restore_command(tmp_path / "b.tar", other.config, identity=True)
    assert key.read_text() == "new"
    assert "stays" in capsys.readouterr().out
    restore_command(tmp_path / "b.tar", other.config, force=True, identity=True)
    assert key.read_text() == "old"


def test_nothing_is_restored_under_a_node_that_serves(node: Node, tmp_path: Path) -> None:
    asyncio.run(node.make_tenant("acme"))
    backup_command(tmp_path / "b.tar", node.config)
    with StateLock(node.state), pytest.raises(Conflict, match="already serves"):
        restore_command(tmp_path / "b.tar", node.config, force=True)


def test_whoever_restores_gets_in(
    node: Node, other: Node, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asyncio.run(node.make_tenant("acme"))
    backup_command(tmp_path / "b.tar", node.config)
    (other.state / "admin.token").write_text("of another farm\n")
    restore_command(tmp_path / "b.tar", other.config)
    assert "admin.token" in capsys.readouterr().out
    token = (other.state / "admin.token").read_text().strip()
    assert asyncio.run(other.operator(token)) == "first-admin"


def test_what_somebody_made_is_not_replaced_by_accident(
    node: Node, other: Node, tmp_path: Path
) -> None:
    asyncio.run(node.make_tenant("acme"))
    asyncio.run(other.make_tenant("ajax"))
    backup_command(tmp_path / "b.tar", node.config)
    with pytest.raises(Conflict, match=r"holds 1 tenant.*--force"):
        restore_command(tmp_path / "b.tar", other.config)
    assert asyncio.run(other.tenants()) == ["default", "ajax"]


def test_a_missing_file_has_its_own_exit_code(node: Node, tmp_path: Path) -> None:
    words = ["restore", "--from", str(tmp_path / "none.tar"), "--config", str(node.config)]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == ExitCode.NOT_FOUND
    assert result.stderr == f"qvdnode: There is no file {tmp_path / 'none.tar'}.\n"


def test_a_backup_of_no_node_is_refused(tmp_path: Path) -> None:
    config = tmp_path / "node.toml"
    config.write_text(f'[node]\nstate_dir = "{tmp_path / "never"}"\n')
    with pytest.raises(NotFound, match="--config"):
        backup_command(tmp_path / "backup", config)
    assert not (tmp_path / "backup").exists()


def test_homes_are_saved_checked_and_restored_by_login(node: Node, tmp_path: Path) -> None:
    user = asyncio.run(node.make_user("alice"))
    home = node.state / "homes" / str(user) / "home"
    home.mkdir(parents=True)
    (home / "letter").write_text("dear")
    folder = tmp_path / "homes"

    def run(*words: str) -> tuple[int, str]:
        result = CliRunner().invoke(app, [*words, "--config", str(node.config)])
        return result.exit_code, result.output

    code, said = run("backup", "--homes", str(folder), "--keep", "3")
    assert (code, f"alice@default ({user}): 2 files, 4 B new" in said) == (0, True), said
    assert "whole: 1 backup of 1 home" in run("backup", "--homes", str(folder), "--verify")[1]
    back = ["restore", "--from", str(folder), "--home", "alice"]
    code, said = run(*back, "--path", "letter")
    assert code == 0, said
    (restored,) = home.glob("restored-*/letter")
    assert restored.read_text() == "dear"
    assert run("restore", "--from", str(folder), "--home", "bob")[0] == ExitCode.NOT_FOUND
    code, said = run(*back, "--to", str(tmp_path / "out"))
    assert (code, (tmp_path / "out" / "letter").read_text()) == (0, "dear")
    shutil.rmtree(home.parent)
    with StateLock(node.state):
        assert run(*back)[0] == 1
    for block in folder.glob("blocks/*/*"):
        block.write_bytes(b"")
    code, said = run("backup", "--homes", str(folder), "--verify")
    assert (code, "damaged" in said) == (1, True)


def test_nothing_to_save_is_wrong_use() -> None:
    assert CliRunner().invoke(app, ["backup"]).exit_code == ExitCode.USAGE
