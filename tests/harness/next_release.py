"""The program of the next release: a copy of this one with newer numbers.

It speaks one more version of the peer protocol and has one more step of the schema, which adds a
column and a table.
"""

import re
import shutil
from pathlib import Path

import qvdnode
from qvdnode.db.migrate import steps

PACKAGE = Path(qvdnode.__file__).parent
PROGRAM = "0.2.0"
ADDS = """
alter table tenant add column next_{number} text not null default 'next';
create table next_{number} (id integer primary key, note text not null);
"""
RUN = """
import os, runpy, sys
os.environ["PYTHONPATH"] = {folder!r}
sys.path.insert(0, {folder!r})
runpy.run_module("qvdnode", run_name="__main__", alter_sys=True)
"""


def release(folder: Path) -> tuple[str, ...]:
    """What Python runs for it; the copy is made in the folder."""
    package = folder / "qvdnode"
    shutil.copytree(PACKAGE, package, ignore=shutil.ignore_patterns("__pycache__"))
    raise_number(package / "wire" / "peer_hello.py", "VERSION: Final = ")
    hello = package / "peer" / "hello.py"
    hello.write_text(hello.read_text().replace('version("qvdnode")', f'"{PROGRAM}"'))
    number = len(steps()) + 1
    step = package / "db" / "schema" / f"{number:04}_next_release.sql"
    step.write_text(ADDS.format(number=number))
    folder.chmod(0o755)
    return ("-c", RUN.format(folder=str(folder)))


def raise_number(file: Path, line: str) -> None:
    """Raise the number at the end of the one line that begins so."""
    text = file.read_text()
    (found,) = re.findall(rf"^{re.escape(line)}(\d+)$", text, re.MULTILINE)
    file.write_text(text.replace(f"{line}{found}", f"{line}{int(found) + 1}"))
