import json

from hypothesis import given
from hypothesis import strategies as st

from qvdnode.wire.plain_text import plain_json, printable, printable_lines

HOSTILE = "a\x1b[31m\x1b]0;title\x07\x9b2J\x90q\x85\u202egpj\u2066x\u200f\ufeff\0\r\x7f"


def test_nothing_steers_the_terminal_or_the_direction_of_writing() -> None:
    assert printable(HOSTILE) == "a?[31m?]0;title??2J?q??gpj?x?????"


def test_lines_stay_and_nothing_in_them_steers_the_terminal() -> None:
    text = "one\r\ntwo\tx\n\x1b]52;c;ZXZpbA==\x07three\x9b2J\n"
    assert printable_lines(text) == "one\ntwo     x\n?]52;c;ZXZpbA==?three?2J"


@given(st.text())
def test_any_text_comes_out_fit_for_a_terminal(text: str) -> None:
    assert printable(text).isprintable()
    assert all(line.isprintable() for line in printable_lines(text).split("\n"))


@given(st.dictionaries(st.text(), st.lists(st.text() | st.integers() | st.none())))
def test_json_means_the_same_and_steers_nothing(value: object) -> None:
    text = plain_json(value)
    assert json.loads(text) == value
    assert all(line.isprintable() for line in text.split("\n"))


def test_json_keeps_letters_of_all_languages() -> None:
    assert plain_json({"name": "Žofie 日本"}) == '{\n  "name": "Žofie 日本"\n}'
    assert plain_json({"name": HOSTILE}).isascii()
