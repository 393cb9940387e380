import json

import pytest

from qvdnode.cli.answer_tables import Column, fitting, flat, show_fields, show_rows, tell

COLUMNS = (Column("ID", "id"), Column("NAME", "name"))


def test_parts_are_named_by_their_path() -> None:
    assert flat({"a": 1, "load": {"viewers": 2, "guests": {}}}) == [
        ("a", 1),
        ("load.viewers", 2),
        ("load.guests", {}),
    ]


def test_a_table_has_a_row_for_each_item(capsys: pytest.CaptureFixture[str]) -> None:
    show_rows([{"id": 1, "name": "[red]desk[/red]"}, {"id": 2}], COLUMNS, json=False)
    text = capsys.readouterr().out
    assert text == "ID  NAME\n1   [red]desk[/red]\n2   -\n"


def test_what_is_deleted_is_shown_by_its_number() -> None:
    column = Column("VM", "vm", number="vm_id")
    assert column.of({"vm": "desk", "vm_id": 7}) == "desk"
    assert column.of({"vm": None, "vm_id": 7}) == "7 (deleted)"
    assert column.of({"vm": None, "vm_id": None}) == "-"


def test_spare_columns_are_left_out_where_it_is_narrow() -> None:
    when = Column("WHEN", "when")
    node, client = Column("NODE", "node", spare=True), Column("CLIENT", "client", spare=True)
    why = Column("WHY", "why", wraps=True)
    columns = (when, node, client, why)
    row = {"when": "x" * 19, "node": "node1", "client": "linux!", "why": "y" * 99}
    whole = 19 + 2 + 5 + 2 + 6 + 2 + 16
    assert fitting([row], columns, whole) == list(columns)
    assert fitting([row], columns, whole - 1) == [when, node, why]
    assert fitting([row], columns, 19 + 2 + 16) == [when, why]
    assert fitting([row], columns, 5) == [when, why]
    assert fitting([], columns, 80) == list(columns)


def test_json_is_whole_and_on_request(capsys: pytest.CaptureFixture[str]) -> None:
    item = {"id": 1, "name": "ä" * 300, "size_bytes": 412_090_368, "tenant_id": 1, "tenant": "a"}
    show_fields(item, json=True)
    assert json.loads(capsys.readouterr().out) == item


def test_fields_stand_one_to_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    show_fields({"is_application": False}, json=False)
    assert capsys.readouterr().out.split() == ["is", "application", "no"]


def test_a_number_is_left_out_where_the_name_stands(capsys: pytest.CaptureFixture[str]) -> None:
    show_fields(
        {"tenant_id": 12, "tenant": "acme", "node_id": 34, "node": None, "x_id": None, "x": None},
        json=False,
    )
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert lines == [["tenant", "acme"], ["node", "id", "34"], ["node", "-"], ["x", "-"]]


def test_a_sentence_is_one_line_or_one_field(capsys: pytest.CaptureFixture[str]) -> None:
    tell("User [bob] is deleted. " * 9)
    assert capsys.readouterr().out.count("\n") == 1
    tell("Done.", json=True)
    assert json.loads(capsys.readouterr().out) == {"done": "Done."}


@pytest.mark.parametrize("as_json", [False, True])
def test_nothing_that_a_node_answers_steers_the_terminal(
    capsys: pytest.CaptureFixture[str], as_json: bool
) -> None:
    hostile = "x\x1b]52;c;ZXZpbA==\x07\x9b2J\u202ey"
    item = {"id": 1, "name": hostile, hostile: {hostile: hostile}, "at": hostile}
    show_rows([item], COLUMNS, json=as_json)
    show_fields(item, json=as_json)
    tell(hostile, json=as_json)
    shown = capsys.readouterr().out
    assert "52;c;ZXZpbA==" in shown
    assert all(line.isprintable() for line in shown.split("\n"))
