from qvdnode.cluster.core.swim.health import Health


def test_the_score_has_bounds() -> None:
    health = Health(worst=3)
    health.improve()
    assert health.score == 0
    health.worsen(2)
    health.worsen()
    health.worsen()
    assert health.score == 3
    health.improve()
    assert health.score == 2
