"""A backup has every table; integration/db/test_backup.py makes and restores one."""

import re
from pathlib import Path

from qvdnode.db import migrate
from qvdnode.db.backup import NOT_SAVED, TABLES

STEPS = sorted((Path(migrate.__file__).parent / "schema").glob("*.sql"))
CREATE = re.compile(r"^create table (?:if not exists )?(\w+) \((.*?)^\);", re.MULTILINE | re.DOTALL)
PARENT = re.compile(r"references (\w+) ")


def test_a_backup_has_every_table_parents_before_children() -> None:
    made = {name: body for step in STEPS for name, body in CREATE.findall(step.read_text())}
    assert sorted((*TABLES, *NOT_SAVED)) == sorted(made)
    for place, table in enumerate(TABLES):
        parents = set(PARENT.findall(made[table])) - {table}
        assert parents <= set(TABLES[:place]), table
