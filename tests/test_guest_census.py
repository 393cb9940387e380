"""The count of who runs what: a double start must be found, and nothing else taken for one."""

from tests.harness.guest_census import Census

ABOVE = {"one": "aguests", "two": "bguests"}


class Groups:
    """Control groups that change when they are read, as real ones do."""

    def __init__(self) -> None:
        self.running = {"aguests/aqvd-7": {1}, "bguests/monitor-bqvd-7": {2}}
        self.moves_at: str | None = None

    def children(self, group: str) -> set[str]:
        if group == self.moves_at:
            self.moves_at = None
            self.running = {"bguests/bqvd-7": {3}}
        return {name.partition("/")[2] for name in self.running if name.startswith(f"{group}/")}

    def processes(self, group: str) -> set[int]:
        return self.running[group]


def looked(groups: Groups, *moments_s: float) -> Census:
    census = Census(groups, ABOVE, began_s=0.0)
    for now_s in moments_s:
        census.look(now_s)
    return census


def test_one_that_runs_on_two_nodes_is_found_once() -> None:
    groups = Groups()
    groups.running["bguests/bqvd-7"] = {3}
    (double,) = looked(groups, 1.0, 1.1).doubles
    assert (double.vm_id, double.nodes) == (7, ("one", "two"))
    assert (double.began_s, double.ended_s) == (1.0, 1.1)
    assert len(looked(groups, 1.0, 5.0).doubles) == 2, "apart, they are two"


def test_monitors_and_empty_groups_are_no_desktops() -> None:
    groups = Groups()
    groups.running["bguests/bqvd-7"] = set()
    assert looked(groups, 1.0).doubles == []


def test_one_that_moves_while_it_is_looked_at_is_no_double_start() -> None:
    groups = Groups()
    census = looked(groups, 1.0)
    groups.moves_at = "bguests"
    census.look(1.05)
    assert census.doubles == []
    assert (census.runs, census.moves) == ({7: "two"}, 1)
