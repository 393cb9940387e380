"""What the embedded server is told: small, private, durable. Pure text."""

from pathlib import Path
from typing import Final
from urllib.parse import quote

ROLE: Final = "qvdnode"
DATABASE: Final = "qvdnode"
MAINTENANCE_DATABASE: Final = "postgres"

HBA: Final = "local all all peer map=node\n"
"""Nobody but root on this host, as the one role; no TCP at all."""
IDENT: Final = f"node root {ROLE}\n"

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


def dsn(socket_folder: Path, database: str = DATABASE) -> str:
    """How the node reaches the embedded server."""
    return f"postgresql://{ROLE}@/{database}?host={quote(str(socket_folder))}"
