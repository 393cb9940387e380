"""The codes are the script's own, and those that are written down."""

import re
from pathlib import Path

from qvdnode.wire.session_exit import SessionExit

ROOT = Path(__file__).parents[3]
SCRIPT = ROOT / "qvdnode" / "image" / "guest" / "qvd" / "session"
PAGE = ROOT / "docs" / "protocol" / "session-script.md"


def test_the_script_exits_with_these_codes() -> None:
    line = re.search(r"^DONE=0 .*$", SCRIPT.read_text(), re.MULTILINE)
    assert line is not None
    assert dict(re.findall(r"(\w+)=(\d+)", line[0])) == {
        code.name: str(code.value) for code in SessionExit
    }


def test_the_page_has_a_row_for_each_code() -> None:
    table = PAGE.read_text().split("| exit code | means |", 1)[1].split("\n\n", 1)[0]
    assert re.findall(r"^\| (\d) \|", table, re.MULTILINE) == [str(code) for code in SessionExit]
