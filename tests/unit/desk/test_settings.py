"""Settings of desktops in the browser are checked."""

from dataclasses import replace

import pytest

from qvdnode.desk.settings import BrowserSettings


@pytest.mark.parametrize(
    "bad", [{"sessions_max": -1}, {"memory_mib": 1}, {"cpu_pct": 0}, {"starts_at_once": 0}]
)
def test_what_cannot_work_is_refused(bad: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=next(iter(bad))):
        replace(BrowserSettings(), **bad)  # type: ignore[arg-type]  # of several types


def test_the_defaults_serve() -> None:
    assert BrowserSettings().enabled
