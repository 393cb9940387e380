"""The embedded server's configuration: small, private and durable. Pure."""

from pathlib import Path
from typing import Final
from urllib.parse import quote

ROLE: Final = "qvdnode_node"
"""The node's role. It owns the farm's database and has no other rights."""
SUPERUSER: Final = "qvdnode"
"""Made by initdb. Nobody connects as it but the server's own account, to whom all files belong."""
DATABASE: Final = "qvdnode"
MAINTENANCE_DATABASE: Final = "postgres"

HBA: Final = f"""\
local {DATABASE} {ROLE} peer map=node
local all {SUPERUSER} peer map=superuser
"""
"""Root of this host as the node's role, in its database; no TCP at all."""
IDENT: Final = "node root {role}\nsuperuser {account} {superuser}\n"

IS_SET_UP: Final = """
SELECT NOT (rolsuper OR rolcreaterole OR rolcreatedb OR rolreplication OR rolbypassrls)
  AND (SELECT datdba = role.oid FROM pg_database WHERE datname = current_database())
  AND (SELECT nspowner = role.oid FROM pg_namespace WHERE nspname = 'public')
  AND NOT has_schema_privilege('public', 'public', 'CREATE, USAGE')
  AND NOT has_database_privilege('public', current_database(), 'CONNECT, TEMP, CREATE')
  AND NOT EXISTS (SELECT FROM pg_class
    WHERE relnamespace = 'public'::regnamespace AND relowner <> role.oid)
FROM pg_roles AS role WHERE rolname = current_user
"""
"""Run as the node's role: whether the setup below is complete."""
SET_UP_ROLE: Final = f"""
DO $$ BEGIN
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{ROLE}') THEN CREATE ROLE {ROLE}; END IF;
END $$;
ALTER ROLE {ROLE} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS PASSWORD NULL;
REVOKE ALL ON DATABASE {MAINTENANCE_DATABASE}, template1 FROM PUBLIC;
"""
HAS_DATABASE: Final = f"SELECT 1 FROM pg_database WHERE datname = '{DATABASE}'"
MAKE_DATABASE: Final = f"CREATE DATABASE {DATABASE} OWNER {ROLE}"
# what an older program made belongs to the superuser; sequences of identities follow their tables
SET_UP_DATABASE: Final = f"""
ALTER DATABASE {DATABASE} OWNER TO {ROLE};
REVOKE ALL ON DATABASE {DATABASE} FROM PUBLIC;
ALTER SCHEMA public OWNER TO {ROLE};
REVOKE ALL ON SCHEMA public FROM PUBLIC;
DO $$ DECLARE item record; BEGIN
  FOR item IN SELECT oid::regclass AS name FROM pg_class
    WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p', 'v', 'm')
      AND relowner <> '{ROLE}'::regrole
  LOOP EXECUTE format('ALTER TABLE %s OWNER TO {ROLE}', item.name); END LOOP;
END $$;
"""

# one node's worth of connections and memory: the server counts as overhead of the desktops
TEMPLATE: Final = """\
# Written by qvdnode at each start of the embedded server; changes here are lost.
listen_addresses = ''
unix_socket_directories = '{socket_folder}'
unix_socket_permissions = 0700
max_connections = {connections}
superuser_reserved_connections = 2

shared_buffers = 16MB
work_mem = 1MB
maintenance_work_mem = 16MB
wal_buffers = 1MB
huge_pages = off
jit = off
max_parallel_workers = 0
max_parallel_workers_per_gather = 0
autovacuum_max_workers = 1

fsync = on
synchronous_commit = on
full_page_writes = on
wal_level = minimal
max_wal_senders = 0
# what it takes of the disk is bounded, and it writes to files that it has already
max_wal_size = 64MB
min_wal_size = 32MB
wal_recycle = on
wal_init_zero = on
temp_file_limit = 64MB
max_logical_replication_workers = 0

log_min_messages = warning
log_checkpoints = off
log_line_prefix = '%m [%p] '
log_timezone = 'UTC'
timezone = 'UTC'
"""
SINCE_18: Final = """\
# no I/O workers: three processes for nothing with a database that fits into memory
io_method = sync
autovacuum_worker_slots = 2
"""


def postgresql_conf(major: int, socket_folder: Path, connections: int) -> str:
    """The whole configuration file."""
    text = TEMPLATE.format(socket_folder=socket_folder, connections=connections)
    return text + (SINCE_18 if major >= 18 else "")


def ident(account: str) -> str:
    """Which account of the host may be which role."""
    return IDENT.format(role=ROLE, account=account, superuser=SUPERUSER)


def files_to_use(folder: Path) -> dict[str, Path]:
    """Where the server finds its configuration: in a folder that it cannot write itself."""
    return {
        "config_file": folder / "postgresql.conf",
        "hba_file": folder / "pg_hba.conf",
        "ident_file": folder / "pg_ident.conf",
    }


def dsn(socket_folder: Path, database: str = DATABASE, role: str = ROLE) -> str:
    """How the node reaches the embedded server; the server's own account is the superuser."""
    return f"postgresql://{role}@/{database}?host={quote(str(socket_folder))}"
