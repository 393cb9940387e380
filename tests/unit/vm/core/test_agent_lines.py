import pytest
from hypothesis import given
from hypothesis import strategies as st

from qvdnode.vm.core.agent_lines import (
    LINE_MAX,
    NONSENSE_MAX,
    Answer,
    AnswerReader,
    Flood,
    question,
)


def test_a_question_is_one_line_of_plain_words() -> None:
    assert question("0a", "signal", "77", "9") == b"0a signal 77 9\n"


@pytest.mark.parametrize("word", ["", "two words", "a\n", "$(reboot)", "ü"])
def test_a_word_that_the_agents_shell_would_read_as_more_is_refused(word: str) -> None:
    with pytest.raises(ValueError, match="cannot be said"):
        question("0a", "session", word)


def test_a_question_that_is_too_long_is_refused() -> None:
    with pytest.raises(ValueError, match="too long"):
        question("0a", "session", "x" * LINE_MAX)


def test_answers_may_come_in_any_pieces_and_order() -> None:
    reader = AnswerReader()
    assert reader.feed(b"0b 2") == []
    assert reader.feed(b"55\r\n0a 0\n1") == [Answer("0b", 255), Answer("0a", 0)]


def test_what_is_no_answer_is_passed_over() -> None:
    assert AnswerReader().feed(b"hello\n0A 1\n0a -1\n0a 1000\n0a 1\n") == [Answer("0a", 1)]


def test_a_guest_that_writes_without_end_is_given_up() -> None:
    reader = AnswerReader()
    assert reader.feed(b"x" * NONSENSE_MAX) == []
    with pytest.raises(Flood):
        reader.feed(b"x" * 1000)


def test_answers_to_nothing_are_a_flood_too() -> None:
    reader = AnswerReader()
    for _ in range(NONSENSE_MAX // len("0a 000\n")):
        reader.unasked(Answer("0a", 0))
    with pytest.raises(Flood):
        reader.unasked(Answer("0a", 0))


@given(st.lists(st.binary(max_size=200), max_size=50))  # less than a flood
def test_any_bytes_give_answers_or_a_flood(pieces: list[bytes]) -> None:
    reader = AnswerReader()
    for piece in pieces:
        for answer in reader.feed(piece):
            assert 0 <= answer.code < 1000
            assert len(answer.number) <= 32


@given(
    st.lists(st.tuples(st.integers(0, 2**64), st.integers(0, 255)), max_size=20), st.integers(1, 9)
)
def test_answers_survive_any_cutting(answers: list[tuple[int, int]], step: int) -> None:
    written = b"".join(f"{number:x} {code}\n".encode() for number, code in answers)
    reader = AnswerReader()
    read = [
        one for at in range(0, len(written), step) for one in reader.feed(written[at : at + step])
    ]
    assert read == [Answer(f"{number:x}", code) for number, code in answers]
