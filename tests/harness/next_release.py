"""The program of the next release, and of the one after: a copy of this one with newer numbers.

Each speaks one more version of the peer protocol and has one more step of the schema, which adds a
column and a table. The last one also has a step that programs of this release cannot live with.
"""

import re
import shutil
from pathlib import Path

import qvdnode
from qvdnode.db.migrate import steps

PACKAGE = Path(qvdnode.__file__).parent
ADDS = """
alter table tenant add column next_{number} text not null default 'next';
create table next_{number} (id integer primary key, note text not null);
"""
NEEDS_IT = "update schema_version set needs = {number};"
"""As a step that takes away what the programs here still use."""
RUN = """
import os, runpy, sys
os.environ["PYTHONPATH"] = {folder!r}
sys.path.insert(0, {folder!r})
runpy.run_module("qvdnode", run_name="__main__", alter_sys=True)
"""


def release(folder: Path, ahead: int, *, takes_away: bool = False) -> tuple[str, ...]:
    """A program that is `ahead` releases newer; what Python runs for it."""
    package = folder / f"ahead-{ahead}" / "qvdnode"
    shutil.copytree(PACKAGE, package, ignore=shutil.ignore_patterns("__pycache__"))
    raise_number(package / "wire" / "peer_hello.py", "VERSION: Final = ", ahead)
    hello = package / "peer" / "hello.py"
    hello.write_text(
        hello.read_text().replace(
            'PROGRAM: Final = version("qvdnode")', f'PROGRAM: Final = "0.{ahead + 1}.0"'
        )
    )
    for number in range(len(steps()) + 1, len(steps()) + ahead + 1):
        last = takes_away and number == len(steps()) + ahead
        sql = (NEEDS_IT if last else ADDS).format(number=number)
        (package / "db" / "schema" / f"{number:04}_next_release.sql").write_text(sql)
    folder.chmod(0o755)
    return ("-c", RUN.format(folder=str(package.parent)))


def raise_number(file: Path, line: str, by: int) -> None:
    """Raise the number at the end of the one line that begins so."""
    text = file.read_text()
    (found,) = re.findall(rf"^{re.escape(line)}(\d+)$", text, re.MULTILINE)
    file.write_text(text.replace(f"{line}{found}", f"{line}{int(found) + by}"))
