"""Each test that the security page names exists, and each test of an attack is named there."""

import re
from pathlib import Path

TESTS = Path(__file__).parent
PAGE = (TESTS.parent / "docs/security.md").read_text(encoding="utf-8")
ROWS = [line for line in PAGE.splitlines() if line.startswith("|") and ".py`" in line]
NAMED = {name for row in ROWS for name in re.findall(r"`(?:tests/)?((?:\w+/)*\w+\.py)`", row)}


def test_each_test_that_is_named_exists() -> None:
    ours = {name for name in NAMED if "test_" in name or "/" not in name}
    assert len(ours) > 50
    assert sorted(name for name in ours if not (TESTS / name).is_file()) == []


def test_each_attack_is_in_the_table() -> None:
    attacks = {f"attacks/{path.name}" for path in (TESTS / "attacks").glob("test_*.py")}
    assert sorted(attacks - NAMED) == []
