"""The libraries of the page are those that the lock files name, byte by byte."""

import hashlib
import json
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
FOLDERS = (ROOT / "qvdnode/web/static/vendor", ROOT / "tests/web/vendor")
FREE = {"MIT", "Apache-2.0", "MPL-2.0"}


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: str(folder.relative_to(ROOT)))
def test_every_file_is_in_the_lock_with_its_hash(folder: Path) -> None:
    packages = json.loads((folder / "vendor.lock").read_text(encoding="utf-8"))
    locked = {file["to"]: file["sha256"] for package in packages for file in package["files"]}
    there = {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file() and path.name != "vendor.lock" and path.parent.name != "LICENSES"
    }
    assert there == locked, "change the version in vendor.lock and run `make vendor`"


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: str(folder.relative_to(ROOT)))
def test_every_package_has_a_free_licence_and_its_text(folder: Path) -> None:
    packages = json.loads((folder / "vendor.lock").read_text(encoding="utf-8"))
    texts = {path.stem for path in (folder / "LICENSES").iterdir()}
    assert texts == {package["name"].lstrip("@").replace("/", "-") for package in packages}
    assert {package["licence"] for package in packages} <= FREE
