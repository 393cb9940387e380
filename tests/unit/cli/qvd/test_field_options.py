"""Options made of fields are options like others."""

from typing import Annotated, Any

import pytest
import typer
from typer.testing import CliRunner

from qvdnode.cli.qvd.field_options import takes

FIELDS = {
    "memory_mib": Annotated[int | None, typer.Option(help="Memory, MiB.")],
    "egress": Annotated[bool | None, typer.Option("--egress/--no-egress", help="The world?")],
}


@pytest.fixture
def told() -> list[tuple[str, dict[str, Any]]]:
    return []


@pytest.fixture
def app(told: list[tuple[str, dict[str, Any]]]) -> typer.Typer:
    app = typer.Typer()

    @app.command()
    @takes(FIELDS)
    def change(what: str, *, given: dict[str, Any], loud: bool = False) -> None:
        """Change something."""
        told.append((what.upper() if loud else what, given))

    return app


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["desk"], ("desk", {})),
        (["desk", "--memory-mib", "7", "--loud"], ("DESK", {"memory_mib": 7})),
        (["desk", "--no-egress"], ("desk", {"egress": False})),
    ],
)
def test_a_command_gets_what_was_given(
    app: typer.Typer,
    told: list[tuple[str, dict[str, Any]]],
    words: list[str],
    expected: tuple[str, dict[str, Any]],
) -> None:
    assert CliRunner().invoke(app, words).exit_code == 0
    assert told == [expected]


def test_a_value_of_another_type_is_refused(
    app: typer.Typer, told: list[tuple[str, dict[str, Any]]]
) -> None:
    assert CliRunner().invoke(app, ["desk", "--memory-mib", "much"]).exit_code == 2
    assert told == []


def test_help_shows_the_options_before_what_follows_them(app: typer.Typer) -> None:
    shown = CliRunner().invoke(app, ["--help"], env={"COLUMNS": "100"}).stdout
    assert "Change something." in shown
    assert shown.index("Memory, MiB.") < shown.index("The world?") < shown.index("--loud")
