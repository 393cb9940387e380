from qvdnode.vm.core.machine_silence import HANGS_AFTER_S, Silence


def missed(silence: Silence, first_s: float, seconds: float) -> None:
    """Questions each 6 s, all without an answer."""
    now_s = first_s
    while now_s <= first_s + seconds:
        silence.missed(now_s, now_s + 5)
        now_s += 6


def test_a_long_silence_is_one_hang() -> None:
    silence = Silence()
    missed(silence, 100, HANGS_AFTER_S - 10)
    assert silence.hangs == 0
    missed(silence, 100 + HANGS_AFTER_S, 10 * HANGS_AFTER_S)
    assert silence.hangs == 1


def test_one_that_is_broken_begins_anew() -> None:
    silence = Silence()
    missed(silence, 0, HANGS_AFTER_S - 10)
    silence.heard()
    missed(silence, 50, HANGS_AFTER_S - 10)
    assert silence.hangs == 0
    missed(silence, 150, HANGS_AFTER_S)
    silence.heard()
    missed(silence, 300, HANGS_AFTER_S)
    assert silence.hangs == 2
