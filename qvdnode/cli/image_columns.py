"""The columns in which both command lines show the history of an image."""

from typing import Final

from qvdnode.cli.answer_tables import Column

LOG_COLUMNS: Final = (
    Column("COMMIT", "short"),
    Column("MADE", "made_at"),
    Column("AUTHOR", "author", spare=True),
    Column("SIZE", "size_bytes", spare=True),
    Column("REFS", "refs"),
    Column("MESSAGE", "message", wraps=True),
)
PACKAGE_COLUMNS: Final = (
    Column("PACKAGE", "package"),
    Column("OLD", "old"),
    Column("NEW", "new"),
)
