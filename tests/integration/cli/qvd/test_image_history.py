"""`qvd image log`, `diff` and `status`, from a store that the test makes."""

import json
from pathlib import Path
from typing import Any

import pytest

from qvdnode.image.core.refs import Ref
from tests.fakes.importer import FakeImporter
from tests.integration.cli.qvd.conftest import Qvd
from tests.integration.image.store.made import branches_of, committed, new_store, small_tree

pytestmark = pytest.mark.postgres


async def done(qvd: Qvd, *words: str) -> Any:
    """What a command prints as JSON."""
    result = await qvd("image", *words, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


async def test_the_history_of_images_is_told(
    logged_in: Qvd, importer: FakeImporter, tmp_path: Path
) -> None:
    assert (await done(logged_in, "status"))["commits"] == 0
    store = new_store(tmp_path)
    importer.versions.store, importer.versions.branches = store, branches_of(store)
    root = small_tree(tmp_path / "root", "one")
    first = committed(store, root)
    (root / "etc/word").write_text("two")
    second = committed(store, root, first, message="second")
    branches_of(store).advance(Ref("icewm", "main"), second, who="ana", why="x")
    assert [row["commit"] for row in await done(logged_in, "log", "icewm")] == [
        second, first,
    ]  # fmt: skip
    assert second[:12] in (await logged_in("image", "log", "icewm", "-n", "1")).stdout
    assert "M content" in (await logged_in("image", "diff", "icewm")).stdout
    assert "1 modified" in (await logged_in("image", "diff", "icewm", "--stat")).stdout
    assert (await logged_in("image", "diff", "icewm", "--packages")).stdout.startswith("PACKAGE")
    both = await logged_in("image", "diff", "icewm", "--stat", "--packages")
    assert both.exit_code == 2
    assert (await done(logged_in, "diff", "icewm", first, second))["modified"] == 1
