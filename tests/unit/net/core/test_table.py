"""A table becomes one transaction, in an order that the kernel accepts."""

from qvdnode.net.core.expressions import DROP, Json
from qvdnode.net.core.table import Chain, Hook, NamedSet, Table, elements

TABLE = Table(
    family="inet",
    name="t",
    sets=(
        NamedSet("links", "ifname", ["a"]),
        NamedSet("pairs", ("ifname", "ether_addr")),
        NamedSet("nets", "ipv4_addr", intervals=True),
    ),
    counters=("why",),
    chains=(Chain("plain", [[DROP]]), Chain("hooked", [], Hook("input", -5))),
)


def shape(commands: list[Json]) -> list[tuple[str, str]]:
    """Verb and kind of each command."""
    return [(verb, kind) for command in commands for verb, body in command.items() for kind in body]


def test_the_old_table_goes_and_the_new_one_comes_in_one_transaction() -> None:
    assert shape(TABLE.replace()) == [
        ("add", "table"),
        ("delete", "table"),
        ("add", "table"),
        ("add", "counter"),
        *[("add", "set")] * 3,
        *[("add", "chain")] * 2,
        ("add", "element"),
        ("add", "rule"),
    ]


def test_removal_is_right_whether_or_not_the_table_is_there() -> None:
    assert shape(TABLE.remove()) == [("add", "table"), ("delete", "table")]


def test_chains_let_pass_what_no_rule_drops() -> None:
    chains = [
        command["add"]["chain"] for command in TABLE.replace() if "chain" in command.get("add", {})
    ]
    assert chains[0] == {"family": "inet", "table": "t", "name": "plain"}
    assert chains[1]["policy"] == "accept"
    assert (chains[1]["hook"], chains[1]["prio"], chains[1]["type"]) == ("input", -5, "filter")


def test_sets_have_the_types_they_are_looked_up_by() -> None:
    sets = [command["add"]["set"] for command in TABLE.replace() if "set" in command.get("add", {})]
    assert [item["type"] for item in sets] == ["ifname", ["ifname", "ether_addr"], "ipv4_addr"]
    assert [item.get("flags") for item in sets] == [None, None, ["interval"]]


def test_elements_name_their_set() -> None:
    assert elements("delete", "inet", "t", "links", ["a"]) == {
        "delete": {"element": {"family": "inet", "table": "t", "name": "links", "elem": ["a"]}}
    }
