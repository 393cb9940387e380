from qvdnode.telemetry.metrics import CONTENT_TYPE, Counter, exposition


def test_declared_metrics_are_exposed() -> None:
    moved = Counter("qvdnode_test_exposed_total", "Counts in this test only")
    moved.inc(3)
    assert b"qvdnode_test_exposed_total 3.0" in exposition()
    assert CONTENT_TYPE.startswith("text/plain")
