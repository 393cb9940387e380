"""Control messages of the page: each is understood or refused."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qvdnode.desk.core import messages
from qvdnode.desk.core.messages import TEXT_FRAME_MAX, TYPED_MAX, Open, Typed, parse, typable
from qvdnode.model.errors import Invalid

OPENING = {"type": "open", "ticket": "abc", "width": 800, "height": 600}


def frame(**changes: object) -> str:
    return json.dumps({**OPENING, **changes})


def test_an_opening_says_what_the_page_is_like() -> None:
    said = parse(frame(keyboard="es", timezone="Europe/Madrid"))
    assert said == Open("abc", 800, 600, "es", "Europe/Madrid")
    assert parse(frame()) == Open("abc", 800, 600)


@pytest.mark.parametrize(
    "changes",
    [
        {"ticket": ""},
        {"ticket": 7},
        {"ticket": "x" * 129},
        {"width": 0},
        {"width": True},
        {"width": 1e9},
        {"height": "600"},
        {"keyboard": "es,options=x"},
        {"keyboard": ["es"]},
        {"timezone": "../etc/passwd"},
        {"type": "close"},
        {"type": None},
    ],
)
def test_an_opening_with_an_impossible_value_is_refused(changes: dict[str, object]) -> None:
    with pytest.raises(Invalid):
        parse(frame(**changes))


@pytest.mark.parametrize("sent", ["", "[]", "null", "{", "[" * 60_000, "1" * (TEXT_FRAME_MAX + 1)])
def test_what_is_no_object_is_refused(sent: str) -> None:
    with pytest.raises(Invalid):
        parse(sent)


LEAVES = st.none() | st.booleans() | st.floats(allow_nan=False) | st.text(max_size=20)
OBJECTS = st.dictionaries(st.text(max_size=8) | st.sampled_from(list(OPENING)), LEAVES, max_size=6)


@given(st.text(max_size=200) | OBJECTS.map(json.dumps))
def test_nothing_but_a_refusal_comes_of_rubbish(sent: str) -> None:
    try:
        said = parse(sent)
    except Invalid:
        return
    assert isinstance(said, Open | Typed)


@given(st.text(max_size=TYPED_MAX))
def test_what_is_typed_holds_no_control_characters(text: str) -> None:
    typed = typable(text)
    assert typable(typed) == typed
    assert not [char for char in typed if char not in "\n\t" and not ord(char) >= 0x20]
    typed.encode()  # no half of a surrogate pair


def test_text_to_type_has_a_limit() -> None:
    assert parse(json.dumps({"type": "text", "text": "é€\r\n😀\x1b"})) == Typed("é€\n😀")
    with pytest.raises(Invalid):
        parse(json.dumps({"type": "text", "text": "x" * (TYPED_MAX + 1)}))


def test_the_guest_is_told_what_a_native_client_would_say() -> None:
    params = messages.display_params(Open("t", 9, 9, "de", "Europe/Berlin"), 800, 600)
    assert (params.keyboard, params.geometry, params.timezone) == (
        "pc105/de",
        "800x600",
        "Europe/Berlin",
    )
    assert params.client_type == "browser"
    assert messages.display_params(Open("t", 9, 9), 800, 600).keyboard is None


def test_what_the_page_is_told_is_json() -> None:
    assert json.loads(messages.progress("Espere, señor")) == {
        "type": "progress",
        "sentence": "Espere, señor",
    }
    assert json.loads(messages.shown()) == {"type": "shown"}
    assert json.loads(messages.typed(done=False, sentence="no"))["done"] is False
    assert json.loads(messages.ended("lost", "gone", again=True)) == {
        "type": "ended",
        "code": "lost",
        "sentence": "gone",
        "again": True,
    }


def test_a_user_may_refuse_a_helper() -> None:
    assert messages.parse('{"type":"refuse","key":"k"}') == messages.Refused("k")
