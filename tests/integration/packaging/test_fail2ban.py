"""The filter for fail2ban finds guesses, their address and nothing that a stranger made up.

fail2ban's own words are put in here; with its `fail2ban-regex` the same lines were tried by hand.
"""

import configparser
import io
import logging
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pytest

from qvdnode.auth.failure_log import FailureLog
from qvdnode.telemetry.logs import JsonFormatter, TextFormatter
from tests.fakes.clock import ManualClock

FILTER = Path(__file__).parents[3] / "packaging" / "fail2ban" / "filter.conf"
FORGED = (
    'x INFO    auth.failure_log login_failed source=198.51.100.1 because="wrong password"'
    " left_out=0 login=y"
)


@pytest.fixture
def written() -> Iterator[io.StringIO]:
    """What the log of failed logins writes while a test runs."""
    text = io.StringIO()
    handler = logging.StreamHandler(text)
    logger = logging.getLogger("qvdnode.auth.failure_log")
    before = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield text
    finally:
        logger.removeHandler(handler)
        logger.setLevel(before)


def addresses(lines: str) -> list[str]:
    """Whom fail2ban would count, for each line that it would."""
    filter_file = configparser.ConfigParser()
    filter_file.read(FILTER)
    patterns = [
        re.compile(pattern.replace("<ADDR>", r"(?P<address>[0-9a-fA-F.:]+)"))
        for pattern in filter_file["Definition"]["failregex"].split("\n")
    ]
    matches = (pattern.search(line) for line in lines.splitlines() for pattern in patterns)
    return [match["address"] for match in matches if match]


@pytest.mark.parametrize("format_", ["text", "json"])
@pytest.mark.parametrize("prefix", ["", "host qvdnode[77]: "])
def test_each_guess_is_found_with_its_address_and_nothing_else(
    written: io.StringIO, format_: Literal["text", "json"], prefix: str
) -> None:
    [handler] = logging.getLogger("qvdnode.auth.failure_log").handlers
    handler.setFormatter(JsonFormatter() if format_ == "json" else TextFormatter())
    failures = FailureLog(ManualClock())
    failures.write(login="alice@default", source="203.0.113.7", because="wrong password")
    failures.write(login="bo...", source="2001:db8::7", because="unknown account")
    failures.write(login=FORGED, source="203.0.113.8", because="unknown account")
    for because in ("must wait", "blocked account", "unknown or expired token"):
        failures.write(login=FORGED, source="203.0.113.9", because=because)
    lines = "".join(f"{prefix}{line}\n" for line in written.getvalue().splitlines())
    assert addresses(lines) == ["203.0.113.7", "2001:db8::7", "203.0.113.8"]
