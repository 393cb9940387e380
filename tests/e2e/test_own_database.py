"""A node on a database of one's own: several hosts in the DSN, of which some are dead."""

import socket

import pytest

from tests.fixtures_postgres import PostgresServer, fresh_database
from tests.harness.node import running_node
from tests.harness.node import test_root as state_root

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.postgres]


def behind_dead_hosts(dsn: str, black_hole: int) -> str:
    """The same server as the last of three: one refuses, one takes the connection and is silent."""
    begin, _, folder = dsn.partition("?host=")
    return f"{begin}?host=127.0.0.1,127.0.0.1,{folder}&port=1,{black_hole},5432"


async def test_dead_hosts_in_the_dsn_keep_no_node_from_serving(
    postgres_server: PostgresServer,
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        async with (
            fresh_database(postgres_server) as dsn,
            running_node(state_root(), database={"dsn": behind_dead_hosts(dsn, port)}) as node,
            node.rest() as rest,
        ):
            assert await rest.status("/readyz") == 200
            assert (await rest.post("/tenants", {"name": "acme"}))["name"] == "acme"
            assert not (node.state_dir / "pg").exists(), "the embedded one was made all the same"
