from math import inf

from qvdnode.telemetry.metrics import (
    CONTENT_TYPE,
    Counter,
    Histogram,
    buckets,
    count,
    exposition,
)


def test_declared_metrics_are_exposed() -> None:
    moved = Counter("qvdnode_test_exposed_total", "Counts in this test only")
    moved.inc(3)
    assert b"qvdnode_test_exposed_total 3.0" in exposition()
    assert CONTENT_TYPE.startswith("text/plain")


def test_metrics_are_read_by_the_node_itself() -> None:
    counted = Counter("qvdnode_test_read_total", "Counts in this test only", ["kind"])
    counted.labels("a").inc(2)
    counted.labels("b").inc()
    assert count(counted) == 3
    timed = Histogram("qvdnode_test_read_seconds", "In this test only", buckets=(0.1, 1))
    timed.observe(0.05)
    timed.observe(0.5)
    assert count(timed) == 2
    assert buckets(timed) == ((0.1, 1), (1, 2), (inf, 2))
