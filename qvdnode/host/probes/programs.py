"""Finds the programs and Debian packages that a node needs, and their versions."""

import re
from collections.abc import Sequence
from typing import Final

from qvdnode.host import process
from qvdnode.model.errors import FarmError, TimedOut

VERSION: Final = re.compile(rb"[0-9]+(?:\.[0-9]+)+")
LIMIT_S: Final = 10.0


async def version(*argv: str, limit_s: float = LIMIT_S) -> str | None:
    """The first version number the program says, "?" for none, None when it is not installed.

    "?" as well for one that does not say it within the limit.
    """
    try:
        said = await process.run(argv, limit_s=limit_s, check=False)
    except TimedOut:
        return "?"
    except FarmError:
        return None
    found = VERSION.search(said.stdout + said.stderr)
    return found.group().decode() if found else "?"


async def missing_packages(names: Sequence[str]) -> tuple[str, ...] | None:
    """Those of the Debian packages that are not installed; None where there is no dpkg."""
    if not names:
        return ()
    try:
        said = await process.run(
            ["dpkg-query", "--show", "--showformat", "${Package} ${db:Status-Status}\n", *names],
            limit_s=LIMIT_S,
            check=False,
        )
    except FarmError:
        return None
    rows = [line.split() for line in said.stdout.decode().splitlines()]
    installed = {row[0] for row in rows if row[1:] == ["installed"]}
    return tuple(name for name in names if name not in installed)


def parse_package_list(text: str) -> tuple[str, ...]:
    """The names in a debian-packages.txt: one a line, # begins a comment."""
    lines = (line.partition("#")[0].strip() for line in text.splitlines())
    return tuple(line for line in lines if line)
