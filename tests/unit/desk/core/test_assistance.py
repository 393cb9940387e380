"""Looking over a shoulder: its table, and what a helper's page may send."""

import json

import pytest

from qvdnode.desk.core.assistance import (
    INPUT_MAX,
    TRANSITIONS,
    Event,
    Key,
    Pointer,
    State,
    asked,
    input_message,
    parse_input,
    state_message,
    step,
)
from qvdnode.model.errors import Invalid


def test_it_is_shared_by_agreement_alone_and_ends_for_good() -> None:
    ways = [
        (state, event) for state in State for event in Event if step(state, event) is State.SHARED
    ]
    assert ways == [(State.ASKED, Event.AGREED)]
    assert not TRANSITIONS[State.ENDED]
    for state in (State.ASKED, State.SHARED):
        assert step(state, Event.LEFT) is State.ENDED
    assert step(State.SHARED, Event.EXPIRED) is None


@pytest.mark.parametrize("given", [Pointer(0, 20_000, 31), Key("KeyA", True), Key("F1", False)])
def test_what_a_helper_sends_goes_on_made_anew(given: Pointer | Key) -> None:
    assert parse_input(input_message(given)) == given


@pytest.mark.parametrize(
    "said",
    [
        "",
        "[" * 400,
        "[]",
        "{}",
        '{"type":"open"}',
        '{"type":"pointer","x":-1,"y":0,"buttons":0}',
        '{"type":"pointer","x":true,"y":0,"buttons":0}',
        '{"type":"pointer","x":0,"y":"1","buttons":0}',
        '{"type":"pointer","x":0,"y":0,"buttons":32}',
        '{"type":"key","code":"Key A"}',
        '{"type":"key","code":""}',
        '{"type":"key","code":7}',
        json.dumps({"type": "key", "code": "A" * 33}),
        " " * (INPUT_MAX + 1),
    ],
)
def test_what_makes_no_sense_is_refused(said: str) -> None:
    with pytest.raises(Invalid):
        parse_input(said)


def test_what_pages_are_told() -> None:
    assert json.loads(asked("k", "ana", helps=True)) == {
        "type": "assistance",
        "key": "k",
        "helper": "ana",
        "helps": True,
    }
    assert json.loads(state_message(State.ENDED, "why")) == {"type": "ended", "reason": "why"}
