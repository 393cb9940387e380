"""The published figures of the density bench, by hand-made runs."""

from dataclasses import replace

from bench.density_found import Run, Wanted
from bench.density_keys import figures, named, saved
from bench.density_meter import Sample
from bench.density_typing import Echoes

WANTED = Wanted(400, 100, "xfce", 60.0, 20, 1536, 900.0)
EMPTY = Sample(
    at_s=1.0, phase="empty", desktops=0, connected=0, frozen=0, available_mib=20_000,
    swap_used_mib=0, zram_mib=0, guests_mib=0, guests_swapped_mib=0, guests_cpu_s=0.0,
    host_cpu_s=0.0, ksm_saved_mib=0, ksmd_cpu_s=0.0, node_rss_mib=120, node_cpu_s=1.0,
    generator_cpu_s=1.0, disk_read_mib=0, disk_written_mib=0, memory_pressure_pct=0.0, oom_kills=0,
)  # fmt: skip
FULL = replace(
    EMPTY, phase="connected", desktops=400, connected=400, available_mib=4000, guests_mib=16_000,
    zram_mib=2000, guests_swapped_mib=8000, node_rss_mib=250,
)  # fmt: skip
LEFT = replace(FULL, phase="left", connected=100, frozen=300)


def run_of_400() -> Run:
    return Run(
        login_s=[1.0] * 400,
        reconnect_s=[0.1] * 20,
        thaw_s=[0.1] * 19 + [0.3],
        fill_s=400.0,
        fill_cpu_s=800.0,
        hibernate300_s=150.0,
        idle_cpu_pct=0.1,
        echo_few=Echoes([0.01] * 100, 300, 0),
        echo_all=Echoes([0.02] * 98 + [0.03] * 2, 300, 0),
        marks={"empty": EMPTY, "connected": FULL, "left": LEFT},
        generator_mib={"empty": 100.0, "connected": 2100.0},
        asleep_mib=(5.0, 60.0),
    )


def test_a_whole_run_gives_what_the_specification_names() -> None:
    given = figures(run_of_400())
    assert named(WANTED, given) == {
        "xfce_connected": 400,
        "xfce_mb": 45.0,
        "xfce_hibernated_mb": 5.0 + 60.0 / 4,
        "logins_per_min": 60.0,
        "cpu_s_per_login": 2.0,
        "idle_cpu_pct": 0.1,
        "echo_p99_ratio": 3.0,
        "hibernate300_s": 150.0,
        "thaw_p50_s": 0.1,
        "thaw_p99_s": 0.3,
        "node_rss_mib_at_400": 250,
    }
    assert given["connected_host_mb_each"] == (16_000 - 2000) / 400


def test_a_run_with_a_failed_login_publishes_no_count() -> None:
    found = run_of_400()
    found.errors.append("user7: TimedOut")
    assert not {"xfce_connected", "xfce_mb"} & named(WANTED, figures(found)).keys()


def test_a_run_whose_users_leave_at_once_tells_the_total() -> None:
    marks = {"empty": EMPTY, "connected": replace(FULL, connected=100, desktops=1000)}
    marks["left"] = replace(marks["connected"], frozen=900)
    found = replace(run_of_400(), marks=marks)
    told = named(replace(WANTED, desktops=1000, stay_s=20.0), figures(found))
    assert told["xfce_total_with_100_connected"] == 1000
    assert "xfce_connected" not in told


def test_an_empty_run_tells_nothing_that_was_not_measured() -> None:
    assert named(WANTED, figures(Run())) == {}


def test_what_each_step_saves_is_told_against_none() -> None:
    modes = {"off": {"connected_mb_each": 100.0}, "ksm": {"connected_mb_each": 70.5}}
    assert saved(modes) == {"ksm_connected_mb_each": 29.5}
    assert saved({"ksm": {"connected_mb_each": 70.5}}) == {}
