"""Backs up the farm's tables to a file, from one snapshot, while the farm runs.

pg_dump is not used: its output ties the restore to the server's version, and its programs may be
absent beside an external server. The schema itself is not in the file; the program has it.
"""

import hashlib
import tempfile
from collections.abc import Callable, Coroutine, Mapping
from pathlib import Path
from typing import Any, BinaryIO, Final

from qvdnode.db.backup_archive import Manifest, TableDump, write_archive
from qvdnode.db.migrate import steps
from qvdnode.db.pool import Database
from qvdnode.db.rows import row_count
from qvdnode.db.transaction import Transaction, guarded
from qvdnode.host.trusted_path import PathUse, trusted
from qvdnode.model.errors import Conflict, HostFailed

TABLES: Final = (
    "tenant", "node", "app_user", "api_token", "image", "image_commit", "image_version",
    "image_ref", "image_ref_move", "image_removal", "flavour", "farm", "node_invitation", "vm",
    "vm_placement", "image_rollout", "vm_tag", "vm_start", "user_token", "familiar_source",
    "session", "audit",
)  # fmt: skip
"""Parents before children."""
OF_THE_MOMENT: Final = ("browser_session", "login_link")
"""Logins: a restore ends them, so that none that was revoked comes back."""
NOT_SAVED: Final = (*OF_THE_MOMENT, "database_move")
"""The last one is about the database that it is in."""
LIMIT_S: Final = 3600.0

Sink = Callable[[bytes], Coroutine[Any, Any, None]]

VERSION: Final = "SELECT version FROM schema_version WHERE id = 1"
NOW: Final = "SELECT clock_timestamp()"
COLUMNS: Final = """
SELECT column_name FROM information_schema.columns
WHERE table_schema = current_schema() AND table_name = $1
ORDER BY ordinal_position
"""


async def backup(db: Database, to: Path, files: Mapping[str, Path]) -> Manifest:
    """Write a backup, with some of the node's own files; returns what is in it.

    Raises Conflict when the file exists or the schema is not this program's, HostFailed when it
    cannot be written or another user controls its folder, Unavailable when the database is away;
    then there is no file.
    """
    try:
        with (
            trusted(to.parent, PathUse.SHARED_FOLDER) as place,
            tempfile.TemporaryDirectory(dir=f"/proc/self/fd/{place}", prefix=".backup-") as folder,
        ):
            dumps = {name: Path(folder) / name for name in TABLES}
            async with db.transaction(isolation="repeatable_read", limit_s=LIMIT_S) as tx:
                version = int(await tx.fetchval(VERSION))
                if version != len(steps()):
                    raise Conflict(
                        f"The database has schema {version}, and this program is for "
                        f"{len(steps())}: back it up with the program that serves it."
                    )
                tables = [await _dump(tx, name, path) for name, path in dumps.items()]
                made_at = (await tx.fetchval(NOW)).isoformat()
            manifest = Manifest(version, made_at, tuple(tables))
            write_archive(to, manifest, dumps, files, folder=place)
    except OSError as error:
        raise HostFailed(f"The backup cannot be written to {to}: {error.strerror}.") from error
    return manifest


async def _dump(tx: Transaction, table: str, path: Path) -> TableDump:
    columns = tuple(row["column_name"] for row in await tx.fetch(COLUMNS, table))
    checksum = hashlib.sha256()
    with path.open("wb") as stream, guarded():
        tag = await tx.raw.copy_from_query(
            f"SELECT {', '.join(columns)} FROM {table} ORDER BY 1, 2",
            output=into(stream, checksum.update),
            timeout=LIMIT_S,
        )
    return TableDump(table, columns, row_count(tag), checksum.hexdigest())


def into(stream: BinaryIO, digest: Callable[[bytes], None]) -> Sink:
    """What COPY writes to: the file, and a checksum."""

    async def write(data: bytes) -> None:
        stream.write(data)
        digest(data)

    return write
