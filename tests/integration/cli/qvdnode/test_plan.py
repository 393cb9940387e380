"""`qvdnode plan` as a person types it."""

import json
from pathlib import Path

from typer.testing import CliRunner, Result

from qvdnode.cli.qvdnode.program import app

SMALL = ("--users", "60", "--minutes", "2", "--node-memory-gib", "12")


def plan(*words: str) -> Result:
    return CliRunner().invoke(app, ["plan", *words])


def test_it_says_how_many_nodes_are_enough(tmp_path: Path) -> None:
    chart = tmp_path / "morning.svg"
    result = plan(*SMALL, "--chart", str(chart))
    assert result.exit_code == 0
    assert "3 nodes are enough for 60 desktops, 24 of which start within 2 min." in result.output
    assert "3 nodes: 99 % ready in" in result.output
    assert "desktops that run" in chart.read_text()


def test_too_few_nodes_are_said_to_be_too_few() -> None:
    result = plan(*SMALL, "--logins", "60", "--nodes", "2")
    assert result.exit_code == 1
    assert "2 nodes are not enough" in result.output
    assert "Without --nodes" in result.output


def test_json_is_for_programs() -> None:
    result = plan(*SMALL, "--nodes", "4", "--json")
    figures = json.loads(result.stdout)
    assert figures["enough"] is True
    assert figures["nodes"] == 4
    assert figures["refused"] == figures["overcommitted"] == 0
    assert figures["samples"][-1]["running"] == 60
    nobody = json.loads(plan(*SMALL, "--logins", "60", "--nodes", "1", "--json").stdout)
    assert nobody["enough"] is False
    assert nobody["refused"] == 38


def test_what_makes_no_sense_is_refused(tmp_path: Path) -> None:
    assert "More users log in than there are" in plan(*SMALL, "--logins", "61").output
    unwritable = plan(*SMALL, "--nodes", "4", "--chart", str(tmp_path / "no" / "x.svg"))
    assert "The chart cannot be written" in unwritable.output
    assert plan("--users", "0").exit_code == 2
