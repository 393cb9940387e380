"""Real members in a network namespace in which the kernel drops what a rule says."""

import subprocess
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from secrets import token_hex

import pytest

from qvdnode.cluster.core.swim.effects import UdpUnanswered
from qvdnode.cluster.core.swim.timing import Timing
from tests.fixtures_netns import Namespace
from tests.integration.cluster.conftest import MakeNode, Node
from tests.waiting import until

pytestmark = pytest.mark.nftables

QUICK = Timing(
    probe_interval_s=0.5,
    probe_timeout_s=0.25,
    relay_timeout_s=0.2,
    suspicion_multiplier=3,
    reconnect_interval_s=2.0,
)


@pytest.fixture
def namespace() -> Iterator[Namespace]:
    name = f"swim-{token_hex(4)}"
    subprocess.run(["ip", "netns", "add", name], check=True)
    try:
        subprocess.run(["ip", "-n", name, "link", "set", "lo", "up"], check=True)
        yield Namespace(name)
    finally:
        subprocess.run(["ip", "netns", "del", name], check=True)


@pytest.fixture
def where(namespace: Namespace) -> AbstractContextManager[object]:
    """A thread belongs to the namespace of the thread that made it."""
    return Again(namespace)


class Again(AbstractContextManager[object]):
    """The namespace, entered as often as wanted."""

    def __init__(self, namespace: Namespace) -> None:
        self._namespace = namespace

    def __enter__(self) -> None:
        self._inside = self._namespace.entered()
        self._inside.__enter__()

    def __exit__(self, *error: object) -> None:
        self._inside.__exit__(None, None, None)


@contextmanager
def dropping(namespace: Namespace, *rules: str) -> Iterator[None]:
    """Have the kernel drop what any of these matches."""
    lines = "\n".join(f"{rule} drop" for rule in rules)
    table = f"table inet faults {{ chain in {{ type filter hook input priority 0\n{lines}\n}}\n}}"
    nft = ["ip", "netns", "exec", namespace.name, "nft"]
    subprocess.run([*nft, "-f", "-"], input=table, text=True, check=True)
    try:
        yield
    finally:
        subprocess.run([*nft, "delete", "table", "inet", "faults"], check=True)


async def four(make_node: MakeNode, timing: Timing | None = None) -> list[Node]:
    nodes: list[Node] = []
    for name in "abcd":
        nodes.append(await make_node(name, nodes[:1], timing=timing))
    await until(lambda: whole(nodes), limit_s=30)
    return nodes


def whole(nodes: list[Node]) -> bool:
    return all(len(node.up()) == len(nodes) - 1 for node in nodes)


@pytest.mark.timeout(60)
async def test_losing_a_quarter_of_all_packets_makes_no_member_look_dead(
    namespace: Namespace, make_node: MakeNode
) -> None:
    nodes = await four(make_node, QUICK)
    with dropping(namespace, "meta l4proto udp numgen random mod 100 < 25"):
        await nodes[3].membership.stop(announce_leave=False)
        await until(lambda: all("d" in node.deaths() for node in nodes[:3]), limit_s=30)
    assert [node.deaths() for node in nodes[:3]] == [["d"]] * 3


@pytest.mark.timeout(60)
async def test_a_member_without_udp_stays_and_is_reported(
    namespace: Namespace, make_node: MakeNode
) -> None:
    nodes = await four(make_node)
    host = nodes[0].address.host
    with dropping(
        namespace, f"meta l4proto udp ip daddr {host}", f"meta l4proto udp ip saddr {host}"
    ):
        told = UdpUnanswered("a")
        await until(lambda: all(told in node.events for node in nodes[1:]), limit_s=30)
    assert [node.deaths() for node in nodes] == [[]] * 4


@pytest.mark.timeout(90)
async def test_two_halves_of_a_partition_join_again(
    namespace: Namespace, make_node: MakeNode
) -> None:
    nodes = await four(make_node, QUICK)
    left = ", ".join(node.address.host for node in nodes[:2])
    right = ", ".join(node.address.host for node in nodes[2:])
    # Whoever dials over TCP is not bound to its address, so the answers are dropped, too.
    with dropping(
        namespace,
        f"meta l4proto udp ip saddr {{ {left} }} ip daddr {{ {right} }}",
        f"meta l4proto udp ip saddr {{ {right} }} ip daddr {{ {left} }}",
        "meta l4proto tcp",
    ):
        await until(lambda: all(len(node.up()) == 1 for node in nodes), limit_s=40)
    # With such short times a busy host may hold up a neighbour, too, who then refutes its death.
    others = [set("cd"), set("cd"), set("ab"), set("ab")]
    assert all(set(node.deaths()) >= half for node, half in zip(nodes, others, strict=True))
    await until(lambda: whole(nodes), limit_s=40)
