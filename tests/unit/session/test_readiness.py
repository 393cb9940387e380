"""Whether desktops can be started."""

from qvdnode.session.readiness import Readiness


def test_a_node_that_does_not_serve_says_so_before_anything_else() -> None:
    readiness = Readiness(checks=[lambda: "no database"])
    assert readiness.reason() == "The node is starting or stopping."


def test_the_first_thing_in_the_way_is_told() -> None:
    readiness = Readiness(serving=True, checks=[lambda: None, lambda: "no disk", lambda: "no"])
    assert readiness.reason() == "no disk"


def test_nothing_in_the_way() -> None:
    assert Readiness(serving=True, checks=[lambda: None]).reason() is None
