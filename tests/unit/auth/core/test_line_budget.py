"""How many lines strangers may cause."""

from qvdnode.auth.core.line_budget import IN_ALL, PER_SOURCE, WINDOW_S, LineBudget


def test_a_source_gets_some_lines_a_window_and_the_next_line_tells_of_the_rest() -> None:
    budget = LineBudget()
    assert [budget.take("a", 100) for _ in range(PER_SOURCE + 2)] == [0] * PER_SOURCE + [None] * 2
    assert budget.take("b", 100) == 2
    assert budget.take("a", 100 + WINDOW_S) == 0


def test_a_flood_of_sources_gets_no_more_than_all_together_may() -> None:
    budget = LineBudget()
    written = [budget.take(str(number), 100) for number in range(10_000)]
    assert len([line for line in written if line is not None]) == IN_ALL
    assert len(budget._by_source) == IN_ALL
    assert budget.take("0", 100 + WINDOW_S) == 10_000 - IN_ALL
