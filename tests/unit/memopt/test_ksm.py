from pathlib import Path

import pytest

from qvdnode.host.shared_sysctls import SharedSysctls
from qvdnode.memopt.core.figures import MergeFigures
from qvdnode.memopt.core.ksm_pace import MIN_PAGES
from qvdnode.memopt.ksm import Ksm

LINK = "lo"
"""A link that every host has stands for the node's bridge."""


@pytest.fixture
def host(tmp_path: Path) -> Path:
    for name, value in {
        "ksm/run": 0,
        "ksm/pages_to_scan": 100,
        "ksm/sleep_millisecs": 200,
        "ksm/general_profit": 0,
    }.items():
        file = tmp_path / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(f"{value}\n", encoding="ascii")
    (tmp_path / "proc" / "7").mkdir(parents=True)
    (tmp_path / "proc" / "7" / "comm").write_text("ksmd\n", encoding="ascii")
    tell_cpu(tmp_path, 0)
    return tmp_path


def tell_cpu(host: Path, ticks: int) -> None:
    fields = " ".join(["S", *["0"] * 10, str(ticks), "0", "0"])
    (host / "proc" / "7" / "stat").write_text(f"7 (ksmd) {fields}\n", encoding="ascii")


def tell_saved(host: Path, mib: int) -> None:
    (host / "ksm" / "general_profit").write_text(f"{mib << 20}\n", encoding="ascii")


def number(host: Path, name: str) -> int:
    return int((host / "ksm" / name).read_text(encoding="ascii"))


def ksm(host: Path) -> Ksm:
    return Ksm(folder=host / "ksm", records=host / "records", proc=host / "proc")


def test_it_is_switched_on_and_put_back_as_it_was(host: Path) -> None:
    one = ksm(host)
    one.hold("t1", LINK)
    assert number(host, "run") == 1
    assert number(host, "pages_to_scan") == MIN_PAGES
    one.steer(5, 10.0, 20)
    tell_saved(host, 40)
    tell_cpu(host, 50)
    one.steer(5, 15.0, 20)
    assert number(host, "pages_to_scan") == 2 * MIN_PAGES
    assert one.figures() == MergeFigures(40, 0.5)
    assert one.pages_per_s == 2 * MIN_PAGES * 50
    one.release("t1")
    assert {n: number(host, n) for n in ("run", "pages_to_scan", "sleep_millisecs")} == {
        "run": 0,
        "pages_to_scan": 100,
        "sleep_millisecs": 200,
    }


def test_the_next_process_puts_back_what_the_one_before_it_found(host: Path) -> None:
    ksm(host).hold("t1", LINK)
    later = ksm(host)
    later.hold("t1", LINK)
    later.release("t1")
    assert (number(host, "run"), number(host, "pages_to_scan")) == (0, 100)


def test_the_last_of_two_nodes_puts_it_back(host: Path) -> None:
    one, two = ksm(host), ksm(host)
    one.hold("t1", LINK)
    two.hold("t2", LINK)
    one.release("t1")
    assert number(host, "run") == 1
    two.release("t2")
    assert number(host, "run") == 0


def test_one_that_was_on_is_left_to_whoever_switched_it_on(host: Path) -> None:
    (host / "ksm" / "run").write_text("1\n", encoding="ascii")
    one = ksm(host)
    one.hold("t1", LINK)
    one.steer(5, 10.0, 20)
    one.steer(50, 15.0, 20)
    one.rest()
    assert number(host, "pages_to_scan") == 100
    assert one.pages_per_s == 0
    one.release("t1")
    assert number(host, "run") == 1


def test_a_process_that_ends_leaves_it_scanning_slowly(host: Path) -> None:
    one = ksm(host)
    one.hold("t1", LINK)
    one.steer(5, 10.0, 20)
    one.steer(50, 15.0, 20)
    assert number(host, "pages_to_scan") > MIN_PAGES
    one.rest()
    assert number(host, "pages_to_scan") == MIN_PAGES


def test_a_host_without_it_saves_nothing(tmp_path: Path) -> None:
    assert ksm(tmp_path).figures() == MergeFigures(0, 0.0)


def test_what_is_steered_is_put_back_whatever_it_is_now(host: Path) -> None:
    shared = SharedSysctls({"run": 1}, host / "r", "x", host / "ksm", steered=("pages_to_scan",))
    shared.hold("t1", LINK)
    (host / "ksm" / "pages_to_scan").write_text("7777\n", encoding="ascii")
    assert shared.raised("run")
    assert shared.release("t1") == {"run": 0, "pages_to_scan": 100}
