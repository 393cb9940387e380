from dataclasses import replace

from qvdnode.cluster.core.load_figures import to_load, to_record
from qvdnode.wire.load_record import decode_load, encode_load
from qvdnode.wire.swim import farm_tag
from tests.unit.cluster.core.test_placement import node

TAG = farm_tag("here")
LOAD = node(
    7,
    promised_mib=2048,
    run_queue=1.4,
    cpu_some_pct=12.0,
    memory_full_pct=3.0,
    io_some_pct=40.0,
    loop_lag_s=0.25,
    drivers=frozenset({"lxc", "docker"}),
    draining=True,
    images=1 << 63 | 1,
)


def test_what_is_told_is_what_the_others_place_by() -> None:
    (record,) = decode_load(encode_load(TAG, [to_record(LOAD)]), TAG)
    assert to_load(record, age_s=0.0, suspect=False) == LOAD


def test_what_the_receiver_knows_itself_is_added() -> None:
    load = to_load(to_record(LOAD), age_s=4.5, suspect=True)
    assert load == replace(LOAD, age_s=4.5, suspect=True)


def test_a_driver_that_has_no_bit_is_not_told() -> None:
    record = to_record(replace(LOAD, drivers=frozenset({"lxc", "memory"})))
    assert to_load(record, age_s=0.0, suspect=False).drivers == {"lxc"}
