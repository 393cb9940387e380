import dataclasses
import socket

from qvdnode.cluster.keyring import Keyring
from qvdnode.cluster.swim_shell import REFUSED
from qvdnode.cluster.swim_stream import seal_datagram
from qvdnode.wire.load_record import LoadRecord, encode_load
from qvdnode.wire.member_metadata import MemberMetadata
from qvdnode.wire.swim import farm_tag
from tests.integration.cluster.conftest import FARM, KEY, MakeNode, Node
from tests.waiting import until

LOAD = LoadRecord(*range(1, 21))


def of(number: int) -> LoadRecord:
    return dataclasses.replace(LOAD, node=number, promised_mib=100 * number)


async def three(make_node: MakeNode) -> list[Node]:
    nodes: list[Node] = []
    for number, name in enumerate("abc", start=1):
        metadata = MemberMetadata(number, "1.0").encode()
        nodes.append(await make_node(name, nodes[:1], metadata=metadata))
        nodes[-1].membership.publish(of(number))
    return nodes


def knows_all(node: Node) -> bool:
    loads = node.membership.loads
    return {n: load.record.promised_mib for n, load in loads.items()} == {1: 100, 2: 200, 3: 300}


async def test_every_node_hears_the_load_of_all_and_forgets_one_that_left(
    make_node: MakeNode,
) -> None:
    first, second, third = await three(make_node)
    await until(lambda: all(knows_all(node) for node in (first, second, third)))
    await third.membership.stop()
    await until(lambda: set(first.membership.loads) == {1, 2})


async def test_load_in_another_format_or_of_another_farm_is_counted_and_changes_nothing(
    make_node: MakeNode,
) -> None:
    node = await make_node("a", metadata=MemberMetadata(1, "1.0").encode())
    node.membership.publish(of(1))
    before = {reason: counted(reason) for reason in ("other_version", "foreign_farm", "malformed")}
    for plain in (
        b"L\x02",
        encode_load(farm_tag("elsewhere"), [of(2)]),
        encode_load(farm_tag(FARM), [of(2)])[:-1],
    ):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.sendto(seal_datagram(Keyring(FARM, [KEY]), plain), node.address)
    await until(lambda: all(counted(reason) == before[reason] + 1 for reason in before))
    assert set(node.membership.loads) == {1}


def counted(reason: str) -> float:
    return float(REFUSED.labels(reason)._value.get())
