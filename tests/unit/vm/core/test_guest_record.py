import json
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Interface

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qvdnode.model.errors import Invalid
from qvdnode.model.guest import GuestPort, GuestProcess, IdRange
from qvdnode.model.ids import Generation
from qvdnode.vm.core.guest_record import GuestRecord, decode, encode
from tests.fakes.orders import desktop_order

RECORD = GuestRecord(
    order=desktop_order(owner=1),
    generation=Generation(12),
    boot_id="0f6c",
    ids=IdRange(0x7000_0000),
    port=GuestPort(
        link="qv7",
        mac="02:00:0a:75:00:07",
        address=IPv4Interface("10.117.0.7/20"),
        gateway=IPv4Address("10.117.0.1"),
        egress=True,
    ),
    root="/var/lib/qvdnode/vms/7/12/root",
    home="/var/lib/qvdnode/homes/5",
    process=GuestProcess(4711, 99),
)


@pytest.mark.parametrize(
    "record", [RECORD, replace(RECORD, process=None), replace(RECORD, resume_digest="5e1f")]
)
def test_what_is_written_is_read_again(record: GuestRecord) -> None:
    assert decode(encode(record)) == record


def test_a_file_names_the_driver_of_the_guest() -> None:
    assert decode(encode(RECORD)).driver == RECORD.order.flavour.driver == "lxc"


def test_a_file_of_an_earlier_program_is_read() -> None:
    body = json.loads(encode(RECORD))
    del body["resume_digest"]
    del body["order"]["flavour"]["idle_minutes"]
    del body["order"]["flavour"]["nesting"]
    del body["order"]["flavour"]["takeover"]
    del body["order"]["flavour"]["clipboard"]
    del body["order"]["flavour"]["files"]
    assert decode(json.dumps(body).encode()) == RECORD


def test_every_torn_file_is_refused() -> None:
    content = encode(RECORD)
    for length in range(len(content) - 2):
        with pytest.raises(Invalid):
            decode(content[:length])


def test_another_version_is_refused_by_its_number() -> None:
    body = json.loads(encode(RECORD))
    body["version"] = 2
    with pytest.raises(Invalid, match="version 2; this program knows 1"):
        decode(json.dumps(body).encode())


def test_nesting_without_end_is_refused() -> None:
    with pytest.raises(Invalid):
        decode(b"[" * 100_000)


@given(st.binary())
def test_rubbish_is_refused(content: bytes) -> None:
    with pytest.raises(Invalid):
        decode(content)


@given(st.recursive(st.none() | st.integers() | st.text(), lambda x: st.lists(x) | st.dictionaries(
    st.sampled_from(["version", "order", "vm", "port", "process", "ids"]), x)))  # fmt: skip
def test_any_other_json_is_refused(body: object) -> None:
    with pytest.raises(Invalid):
        decode(json.dumps(body).encode())
