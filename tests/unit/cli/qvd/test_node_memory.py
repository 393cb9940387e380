import pytest

from qvdnode.admin.routes.node_memory import view
from qvdnode.cli.qvd.node_memory import BAR, bar, sentences, show_memory, uses
from tests.fakes.memory_report import MEMORY

FOUND = view(MEMORY).model_dump(mode="json")


def test_all_uses_together_are_the_hosts_memory() -> None:
    *parts, total = uses(FOUND)
    assert sum(part["mib"] for part in parts) == total["mib"] == 16_384


def test_a_host_without_compressed_swap_uses_none() -> None:
    rows = uses({**FOUND, "zram": None})
    assert {"use": "compressed swap", "mib": 0, "bar": ""} in rows


@pytest.mark.parametrize(
    ("mib", "total", "length"), [(0, 100, 0), (50, 100, BAR // 2), (5, 0, 0), (300, 100, BAR)]
)
def test_a_bar_shows_the_share(mib: int, total: int, length: int) -> None:
    assert len(bar(mib, total)) == length


def test_what_keeps_desktops_awake_is_said() -> None:
    assert not any("hibernate do not" in one for one in sentences(FOUND))
    assert "hibernate do not: no room" in sentences({**FOUND, "obstacle": "no room"})[-1]


def test_uses_desktops_and_actions_are_shown(capsys: pytest.CaptureFixture[str]) -> None:
    show_memory(FOUND, json=False)
    told = capsys.readouterr().out
    for words in ("compressed swap", "desk", "hibernated", "nobody has used it for 400 s"):
        assert words in told
    show_memory({**FOUND, "guests": [], "actions": []}, json=False)
    assert "BECAUSE" not in capsys.readouterr().out
    show_memory(FOUND, json=True)
    assert capsys.readouterr().out.startswith("{")
