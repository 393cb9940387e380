"""One JSON object a line for programs, sentences for people."""

import json

import pytest

from qvdnode.cli.demo.report import Report
from tests.fakes.clock import ManualClock


def test_programs_get_one_object_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    clock = ManualClock()
    report = Report(clock, as_json=True)
    clock.advance(1.5)
    report.done("node", "Node serves")
    clock.advance(0.25)
    report.doing("Starting\nmore")
    report.done("window", "Shown")
    report.say("for people only")
    report.event("first_window", seconds=report.elapsed_s, steps=report.steps)
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert lines == [
        {"event": "step", "step": "node", "seconds": 1.5, "text": "Node serves"},
        {"event": "progress", "text": "Starting\nmore"},
        {"event": "step", "step": "window", "seconds": 0.25, "text": "Shown"},
        {"event": "first_window", "seconds": 1.75, "steps": {"node": 1.5, "window": 0.25}},
    ]


def test_people_get_sentences_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    clock = ManualClock()
    report = Report(clock, as_json=False)
    clock.advance(2)
    report.doing("[bold]not markup[/bold]")
    report.done("node", "Node serves")
    report.event("ready", password="secret")
    report.say("cat [1]")
    said = capsys.readouterr().out
    assert "[bold]not markup[/bold]" in said
    assert "2.00 s  Node serves (2.00 s)" in said
    assert "cat [1]" in said
    assert "secret" not in said


def test_a_line_is_never_broken(capsys: pytest.CaptureFixture[str]) -> None:
    report = Report(ManualClock(), as_json=False)
    path = "/a" * 100
    report.doing(f"Building in {path}")
    report.done("drawn", f"Screenshot in {path}")
    assert [path in line for line in capsys.readouterr().out.splitlines()] == [True, True]


def test_a_pause_counts_to_no_step() -> None:
    clock = ManualClock()
    report = Report(clock, as_json=False)
    clock.advance(5)
    report.begin_step()
    clock.advance(1)
    report.done("killed", "It is dead")
    assert report.steps == {"killed": 1.0}
