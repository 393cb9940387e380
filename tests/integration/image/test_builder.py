"""The image that the demo and the tests run: whole, and silent about where it came from."""

import os
import re
from pathlib import Path

import pytest

from qvdnode.image import builder, recipes
from qvdnode.model.errors import Conflict

APT = Path("/etc/apt")
USED = re.compile(rb"^\s*(?:deb\b|URIs:|Acquire::).*", re.MULTILINE)
PROXIES = {"http_proxy", "https_proxy"}
HOST = re.compile(rb"https?://(?:[^@/\s]*@)?([A-Za-z0-9.-]+)")


def hosts_named_by_apt() -> set[bytes]:
    """The names of the machines that this host takes its packages from, Debian's own left out."""
    files = [path for path in APT.rglob("*") if path.suffix in {".list", ".sources", ".conf", ""}]
    lines = [line for path in files if path.is_file() for line in USED.findall(path.read_bytes())]
    lines += [value.encode() for name, value in os.environ.items() if name.lower() in PROXIES]
    found = {host for line in lines for host in HOST.findall(line)}
    return {host for host in found if not host.endswith(b"debian.org")}


def configuration(root: Path) -> list[Path]:
    """The files in which a trace could be: what is written, not what is installed."""
    return [
        path
        for folder in ("etc", "var", "root", "home", "tmp")
        for path in (root / folder).rglob("*")
        if path.is_file() and not path.is_symlink()
    ]


def test_it_does_not_say_where_its_packages_came_from(icewm_root: Path) -> None:
    hosts = hosts_named_by_apt()
    for path in configuration(icewm_root):
        content = path.read_bytes()
        assert not [host for host in hosts if host in content], path


def test_it_has_no_proxy(icewm_root: Path) -> None:
    for path in (icewm_root / "etc/apt").rglob("*"):
        assert not path.is_file() or b"Proxy" not in path.read_bytes(), path


def test_its_sources_are_debians_own(icewm_root: Path) -> None:
    lines = (icewm_root / "etc/apt/sources.list").read_text().splitlines()
    assert lines
    assert all("debian.org" in line for line in lines if line and not line.startswith("#"))
    assert list((icewm_root / "etc/apt/sources.list.d").iterdir()) == []


@pytest.mark.parametrize("folder", ["var/lib/apt/lists", "var/cache/apt", "var/log", "tmp"])
def test_caches_and_logs_are_gone(icewm_root: Path, folder: str) -> None:
    assert [path for path in (icewm_root / folder).rglob("*") if path.is_file()] == []


def test_it_is_nobodys_machine_yet(icewm_root: Path) -> None:
    assert (icewm_root / "etc/machine-id").read_text() == ""
    assert (icewm_root / "etc/hostname").read_text() == ""
    assert list((icewm_root / "dev").iterdir()) == []


async def test_an_image_is_never_built_over_another(tmp_path: Path) -> None:
    (tmp_path / "icewm").mkdir()
    with pytest.raises(Conflict, match="exists already"):
        await builder.build(recipes.icewm(), tmp_path / "icewm", lambda _percent, _what: None)
