"""What the embedded server is told."""

from pathlib import Path

from qvdnode.db.server_config import HBA, dsn, ident, postgresql_conf

SOCKETS = Path("/run/qvdnode-pg-1")


def test_it_is_durable_private_and_reachable_through_its_socket_only() -> None:
    text = postgresql_conf(18, SOCKETS, 16)
    for line in ("fsync = on", "listen_addresses = ''", "unix_socket_permissions = 0700",
                 f"unix_socket_directories = '{SOCKETS}'", "max_connections = 16"):  # fmt: skip
        assert line in text.splitlines()
    assert "trust" not in HBA


def test_an_older_server_is_not_told_what_it_does_not_know() -> None:
    assert "io_method" in postgresql_conf(18, SOCKETS, 16)
    assert "io_method" not in postgresql_conf(16, SOCKETS, 16)


def test_the_dsn_has_no_password() -> None:
    assert dsn(SOCKETS) == "postgresql://qvdnode_node@/qvdnode?host=/run/qvdnode-pg-1"


def test_each_role_has_one_account_of_the_host() -> None:
    assert HBA.splitlines() == [
        "local qvdnode qvdnode_node peer map=node",
        "local all qvdnode peer map=superuser",
    ]
    assert ident("qvdnode-pg").splitlines() == [
        "node root qvdnode_node",
        "superuser qvdnode-pg qvdnode",
    ]
