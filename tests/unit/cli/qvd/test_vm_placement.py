"""Placement as a person reads it."""

import json

import pytest

from qvdnode.cli.qvd.vm_placement import sentences, show_placement

FOUND = {
    "id": 7,
    "name": "desk",
    "user": "alice",
    "summary": "It runs on desk2.",
    "last": {
        "placed_at": "2026-01-01T12:00:00+00:00",
        "node": "desk2",
        "chosen_by": "desk1",
        "reasons": ["desk2 was chosen with 9.0 points."],
    },
    "nodes": [
        {"because": "desk1 cannot take it: it is full.", "score": None, "age_s": 0.0},
        {"because": "desk2 can take it.", "score": 9.0, "age_s": 1.5},
    ],
}


def test_what_can_take_it_comes_first() -> None:
    lines = sentences(FOUND)
    assert lines[0] == "VM 7 (alice/desk): It runs on desk2."
    assert "on desk2, chosen by desk1." in lines[2]
    assert lines[3] == "  desk2 was chosen with 9.0 points."
    assert lines[-2:] == [
        "  desk2 can take it. Figures of 1.5 s ago.",
        "  desk1 cannot take it: it is full.",
    ]


def test_a_vm_that_never_ran_has_no_reasons() -> None:
    assert "Last start: none since nodes keep their reasons." in sentences({**FOUND, "last": None})


def test_programs_get_the_answer_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    show_placement(FOUND, json=True)
    assert json.loads(capsys.readouterr().out) == FOUND
