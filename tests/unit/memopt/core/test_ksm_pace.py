import pytest

from qvdnode.memopt.core.ksm_pace import MAX_PAGES, MIN_PAGES, STORM_S, Pace, Reading

BUDGET_PCT = 20


def reading(at_s: float, saved_mib: float, cpu_s: float, guests: int = 10) -> Reading:
    return Reading(saved_mib, cpu_s, at_s, guests)


def after(pages: int, gained_mib: float, cpu_s: float, *, launched: int = 0) -> Pace:
    """The pace after five seconds in which that was gained and spent."""
    pace = Pace(pages, last=reading(100.0, 50.0, 1.0))
    return pace.after(reading(105.0, 50.0 + gained_mib, 1.0 + cpu_s, 10 + launched), BUDGET_PCT)


def test_the_first_reading_is_only_remembered() -> None:
    first = reading(1.0, 0.0, 0.0)
    assert Pace().after(first, BUDGET_PCT) == Pace(last=first)


@pytest.mark.parametrize(
    ("gained_mib", "cpu_s", "launched", "pages"),
    [
        (10.0, 0.1, 0, 2000),  # it pays
        (0.1, 0.1, 0, 500),  # it does not
        (0.0, 0.1, 3, 4000),  # desktops came
        (0.0, 0.0, 0, 4000),  # so slow that it cannot be measured
        (10.0, 0.8, 0, 1250),  # it pays, and the budget is nearly used: 16 % of a core
        (10.0, 2.0, 0, 500),  # over the budget
    ],
)
def test_the_pace_follows_the_yield_within_the_budget(
    gained_mib: float, cpu_s: float, launched: int, pages: int
) -> None:
    assert after(1000, gained_mib, cpu_s, launched=launched).pages == pages


def test_it_has_a_floor_and_a_ceiling() -> None:
    assert after(MIN_PAGES, 0.0, 0.1).pages == MIN_PAGES
    assert after(MAX_PAGES, 100.0, 0.01).pages == MAX_PAGES


def test_pages_of_new_desktops_are_looked_at_until_they_have_settled() -> None:
    pace = after(1000, 0.0, 0.1, launched=1)
    later = pace.after(reading(105.0 + STORM_S - 1, 50.0, 1.2, 11), BUDGET_PCT)
    assert later.pages > pace.pages
    calm = later.after(reading(105.0 + STORM_S + 1, 50.0, 1.3, 11), BUDGET_PCT)
    assert calm.pages < later.pages


def test_a_host_without_desktops_is_left_alone() -> None:
    pace = Pace(1000, last=reading(100.0, 0.0, 1.0, 0))
    assert pace.after(reading(105.0, 0.0, 1.1, 0), BUDGET_PCT).pages == MIN_PAGES


def test_two_readings_of_one_moment_do_no_harm() -> None:
    pace = Pace(1000, last=reading(100.0, 0.0, 1.0))
    assert pace.after(reading(100.0, 0.0, 1.5), BUDGET_PCT).pages == 4000


def test_a_simulated_morning_scans_fast_and_then_nearly_stops() -> None:
    pace, at_s, cpu_s, saved_mib, guests = Pace(), 0.0, 0.0, 0.0, 0
    spent: list[float] = []
    for second in range(0, 600, 5):
        if second < 100:
            guests += 5
        unmerged_mib = 12.0 * guests - saved_mib
        scanned_mib = pace.pages * 250 / 256
        share = min(1.0, scanned_mib / (90.0 * max(guests, 1)))
        saved_mib += unmerged_mib * share
        used_s = scanned_mib / 500
        spent.append(used_s)
        at_s, cpu_s = at_s + 5.0, cpu_s + used_s
        pace = pace.after(reading(at_s, saved_mib, cpu_s, guests), BUDGET_PCT)
    assert saved_mib > 0.9 * 12 * guests
    assert max(spent) <= 5 * BUDGET_PCT / 100 * 4, "never far over its budget"
    assert pace.pages == MIN_PAGES
