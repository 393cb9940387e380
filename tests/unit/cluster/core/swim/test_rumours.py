from hypothesis import given
from hypothesis import strategies as st

from qvdnode.cluster.core.swim.rumours import Rumours


def test_a_newer_rumour_replaces_what_was_said_of_a_member() -> None:
    rumours = Rumours()
    rumours.add("a", b"old")
    rumours.add("b", b"b")
    rumours.add("a", b"new")
    assert len(rumours) == 2
    assert rumours.take(100, 4) == [b"new", b"b"]


def test_each_is_sent_so_often_and_forgotten() -> None:
    rumours = Rumours()
    rumours.add("a", b"a")
    assert [rumours.take(100, 3) for _ in range(4)] == [[b"a"], [b"a"], [b"a"], []]
    assert len(rumours) == 0


def test_the_rumour_sent_least_often_goes_first_and_one_that_does_not_fit_waits() -> None:
    rumours = Rumours()
    rumours.add("a", b"aaaa")
    assert rumours.take(4, 4) == [b"aaaa"]
    rumours.add("b", b"bbb")
    assert rumours.take(5, 4) == [b"bbb"]
    assert rumours.take(3, 4) == [b"bbb"]
    assert rumours.take(2, 4) == []
    assert rumours.take(7, 4) == [b"aaaa", b"bbb"]


def test_a_lower_limit_forgets_what_was_sent_often_enough() -> None:
    rumours = Rumours()
    rumours.add("a", b"a")
    for _ in range(3):
        rumours.take(10, 8)
    rumours.take(0, 2)
    assert len(rumours) == 0


@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.integers(0, 9)), max_size=40))
def test_no_rumour_is_sent_more_often_than_the_limit(steps: list[tuple[str, int]]) -> None:
    rumours = Rumours()
    sent: dict[bytes, int] = {}
    for number, (name, room) in enumerate(steps):
        rumours.add(name, f"{name}{number:03}".encode())
        taken = rumours.take(room, 3)
        assert sum(map(len, taken)) <= room
        for message in taken:
            sent[message] = sent.get(message, 0) + 1
    assert all(count <= 3 for count in sent.values())
    assert len(rumours) <= 6
