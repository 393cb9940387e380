"""The options of the benches, and their figures against a floor."""

import pytest

from bench import options
from bench.options import Options
from bench.results_file import Figure, against_floor


def asked(*words: str) -> Options:
    return Options.of(options.parser("A bench.", rounds=5, quick_rounds=2).parse_args(words))


def test_without_options_a_bench_has_all_rounds_and_writes() -> None:
    assert asked() == Options(5, writes=True)


def test_a_quick_look_has_fewer_rounds_and_writes_nothing() -> None:
    assert asked("--quick") == Options(2, writes=False)


def test_the_number_of_rounds_can_be_given() -> None:
    assert asked("--rounds", "3") == Options(3, writes=True)
    assert asked("--rounds", "3", "--quick") == Options(3, writes=False)


def test_figures_can_be_printed_alone() -> None:
    assert asked("--dry") == Options(5, writes=False)


@pytest.mark.parametrize("words", [("--rounds", "0"), ("--rounds", "many"), ("--fast",)])
def test_what_makes_no_sense_is_refused(words: tuple[str, ...]) -> None:
    with pytest.raises(SystemExit, match="2"):
        asked(*words)


def test_help_ends_the_bench(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        asked("--help")
    assert "--quick" in capsys.readouterr().out


def test_a_ratio_is_of_the_same_round() -> None:
    found = against_floor("x_s", Figure(3.0, [2.0, 3.0, 9.0]), Figure(2.0, [1.0, 2.0, 3.0]))
    assert found == {
        "x_s": Figure(3.0, [2.0, 3.0, 9.0]),
        "x_s_floor": Figure(2.0, [1.0, 2.0, 3.0]),
        "x_s_ratio": Figure(2.0, [2.0, 1.5, 3.0]),
    }
