import json

import pytest

from qvdnode.cli.answer_tables import Column, cell, flat, show_fields, show_rows

COLUMNS = (Column("ID", "id"), Column("NAME", "name"))


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, "-"),
        ("", "-"),
        (True, "yes"),
        (False, "no"),
        (0, "0"),
        ({"a": 1}, '{"a": 1}'),
        ("one\x1b[31mtwo\n", "one?[31mtwo?"),
    ],
)
def test_values_are_shown_as_people_read_them(value: object, shown: str) -> None:
    assert cell(value) == shown


def test_parts_are_named_by_their_path() -> None:
    assert flat({"a": 1, "load": {"viewers": 2, "guests": {}}}) == [
        ("a", 1),
        ("load.viewers", 2),
        ("load.guests", {}),
    ]


def test_a_table_has_a_row_for_each_item(capsys: pytest.CaptureFixture[str]) -> None:
    show_rows([{"id": 1, "name": "[red]desk[/red]"}, {"id": 2}], COLUMNS, json=False)
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert lines == [["ID", "NAME"], ["1", "[red]desk[/red]"], ["2", "-"]]


def test_json_is_whole_and_on_request(capsys: pytest.CaptureFixture[str]) -> None:
    item = {"id": 1, "name": "ä" * 300}
    show_fields(item, json=True)
    assert json.loads(capsys.readouterr().out) == item


def test_fields_stand_one_to_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    show_fields({"is_application": False}, json=False)
    assert capsys.readouterr().out.split() == ["is", "application", "no"]
