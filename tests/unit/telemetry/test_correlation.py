from qvdnode.telemetry.correlation import correlated, correlation_id, new_correlation


def test_a_request_runs_under_an_id_of_its_own() -> None:
    with correlated() as first:
        assert correlation_id.get() == first
    with correlated() as second:
        assert second != first


def test_the_outer_id_is_back_after_an_inner_request() -> None:
    with correlated("outer"):
        with correlated("inner"):
            assert correlation_id.get() == "inner"
        assert correlation_id.get() == "outer"
    assert correlation_id.get() == ""


def test_ids_are_short_and_new() -> None:
    assert len({new_correlation() for _ in range(100)}) == 100
    assert len(new_correlation()) == 12
