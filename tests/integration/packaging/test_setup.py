"""What `make setup` stands on: one list of Debian packages, and Python packages pinned by hash."""

import re
import shutil
import tempfile
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from qvdnode.host import process
from qvdnode.host.probes.programs import parse_package_list

ROOT = Path(__file__).parents[3]
INSTALL = ROOT / "packaging" / "install-packages.sh"
DPKG = """#!/bin/sh
case $3 in there) printf installed ;; gone) printf not-installed ;; *) exit 1 ;; esac
"""
APT = """#!/bin/sh
echo "$@" >>"$0.log"
case "$*" in *broken*) echo "E: nobody has broken" >&2; exit 100 ;; esac
"""


@pytest.fixture
def programs() -> Iterator[Path]:
    """The script, and stand-ins for dpkg-query, which knows `there` alone, and apt-get.

    In a folder that other users may enter, unlike those of pytest or a clone in somebody's home.
    """
    with tempfile.TemporaryDirectory(prefix="qvdnode-test-", dir="/var/tmp") as folder:
        for name, text in (("dpkg-query", DPKG), ("apt-get", APT)):
            (Path(folder) / name).write_text(text)
            (Path(folder) / name).chmod(0o755)
        shutil.copyfile(INSTALL, Path(folder) / INSTALL.name)
        Path(folder).chmod(0o755)
        yield Path(folder)


async def install(programs: Path, packages: str, *before: str) -> tuple[process.Finished, str]:
    """What the script said, and what it asked of apt-get."""
    listed = programs / "list.txt"
    listed.write_text(packages)
    said = await process.run(
        [*before, "/bin/sh", programs / INSTALL.name, listed],
        env={"PATH": f"{programs}:/usr/bin:/bin"},
        check=False,
    )
    log = programs / "apt-get.log"
    return said, log.read_text() if log.exists() else ""


async def test_nothing_missing_is_silent_and_needs_nothing(programs: Path) -> None:
    said, asked = await install(programs, "# a comment\nthere  # why\n")
    assert (said.returncode, said.stdout, said.stderr, asked) == (0, b"", b"", "")


async def test_what_is_missing_is_named_and_installed_and_nothing_else(programs: Path) -> None:
    said, asked = await install(programs, "there\ngone\nnever-heard-of\n")
    assert said.returncode == 0
    assert said.stderr == b"setup: Debian packages: gone never-heard-of\n"
    assert said.stdout == b"", "stdout is for JSON: make demo ARGS=--json"
    assert asked.splitlines() == [
        "-q update",
        "-q -y -o DPkg::Lock::Timeout=300 install --no-install-recommends gone never-heard-of",
    ]


async def test_what_apt_says_of_a_failure_is_shown(programs: Path) -> None:
    said, _asked = await install(programs, "broken\n")
    assert said.returncode == 1
    assert b"E: nobody has broken" in said.stderr
    assert b"run make again" in said.stderr


async def test_a_user_without_root_is_told_what_to_type(programs: Path) -> None:
    nobody = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")
    said, asked = await install(programs, "there\ngone\n", *nobody)
    assert said.returncode == 1
    assert b"apt-get install gone" in said.stderr
    assert asked == ""


async def test_a_list_that_is_not_there_is_an_error(programs: Path) -> None:
    said = await process.run(["/bin/sh", INSTALL, programs / "none"], check=False)
    assert said.returncode != 0


async def test_the_list_is_installed_where_tests_run() -> None:
    said = await process.run(["/bin/sh", INSTALL, ROOT / "debian-packages.txt"], check=False)
    assert (said.returncode, said.stderr) == (0, b"")
    assert len(parse_package_list((ROOT / "debian-packages.txt").read_text())) > 10


@pytest.mark.parametrize("name", ["requirements.txt", "requirements-dev.txt"])
def test_every_python_package_is_pinned_by_version_and_hash(name: str) -> None:
    text = (ROOT / name).read_text().replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith(" ")]
    pinned = [line for line in lines if not line.startswith("#")]
    assert pinned
    for line in pinned:
        assert re.match(r"[\w.\[\]-]+==\S+ .*--hash=sha256:[0-9a-f]{64}", line), line


def test_what_the_program_imports_is_among_the_pinned() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = {re.split(r"[\s\[<>=~!;]", item)[0].lower() for item in project["dependencies"]}
    pinned = set(
        re.findall(r"(?m)^([\w.-]+)(?:\[[\w,]+\])?==", (ROOT / "requirements.txt").read_text())
    )
    assert wanted <= {name.lower() for name in pinned}


def test_continuous_integration_checks_and_tests_from_nothing() -> None:
    text = (ROOT / ".ci" / "run").read_text()
    assert re.findall(r"make --no-print-directory (\w+)", text) == ["setup", "check", "test"]
    # What repeats failures ends with the test runner's summary, too.
    assert text.splitlines()[-1].endswith("tests.failed_tests")
    assert "set -euo pipefail" in text.splitlines()
