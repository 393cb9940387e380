"""The database, judged."""

from qvdnode.cli.doctor.database import PostgresFacts, postgres
from qvdnode.cli.doctor.finding import Level


def test_the_one_that_is_there_is_told_by_its_kind() -> None:
    assert postgres(PostgresFacts(own=False, version="18.4")).text == "Embedded, version 18.4"
    assert postgres(PostgresFacts(own=True, version="15.3")).text == "Yours, version 15.3"


def test_a_superuser_is_more_than_a_node_needs() -> None:
    found = postgres(PostgresFacts(own=True, version="15.3", superuser=True))
    assert found.level is Level.WARNING
    assert "superuser" in found.text


def test_an_embedded_one_that_is_missing_is_installed_by_make() -> None:
    found = postgres(PostgresFacts(own=False, version=None))
    assert (found.level, found.fix) == (Level.ERROR, "Run: make setup")


def test_one_that_does_not_answer_is_told_with_its_hosts() -> None:
    found = postgres(PostgresFacts(own=True, version=None, refusal="db1:5432: Connection refused"))
    assert found.level is Level.ERROR
    assert "db1:5432" in found.text
    assert "database.dsn" in found.fix


def test_a_farm_that_depends_on_one_node_is_warned() -> None:
    there = PostgresFacts(own=False, version=None, through="node 1 at 192.0.2.1 port 8445")
    here = PostgresFacts(own=False, version="18.4", serves_farm=True)
    for facts, where in ((there, "node 1 at 192.0.2.1"), (here, "this node")):
        found = postgres(facts)
        assert found.level is Level.WARNING
        assert f"Embedded in {where}" in found.text
        assert "database.dsn" in found.fix
