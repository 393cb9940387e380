"""The cache of verified logins."""

from hypothesis import given
from hypothesis import strategies as st

from qvdnode.auth.verified import VerifiedCache
from tests.fakes.clock import ManualClock

FOREVER_S = 1e9


def make(clock: ManualClock | None = None, size_max: int = 10) -> VerifiedCache[str]:
    return VerifiedCache(b"s" * 32, clock or ManualClock(), size_max)


def test_a_proof_is_found_while_it_is_young() -> None:
    clock = ManualClock()
    cache = make(clock)
    cache.remember(b"k", "alice", cache.checkpoint())
    clock.advance(300)
    assert cache.find(b"k", younger_than_s=300) == "alice"
    clock.advance(1)
    assert cache.find(b"k", younger_than_s=300) is None
    assert cache.find(b"k", younger_than_s=3600) == "alice"


def test_a_proof_with_an_end_is_never_found_after_it() -> None:
    clock = ManualClock()
    cache = make(clock)
    cache.remember(b"k", "alice", cache.checkpoint(), good_for_s=60)
    clock.advance(60)
    assert cache.find(b"k", younger_than_s=FOREVER_S) is None


def test_whoever_is_forgotten_is_not_found() -> None:
    cache = make()
    for name in ("alice", "bob"):
        cache.remember(name.encode(), name, cache.checkpoint())
    cache.forget(lambda name: name == "alice")
    assert cache.find(b"alice", younger_than_s=FOREVER_S) is None
    assert cache.find(b"bob", younger_than_s=FOREVER_S) == "bob"


def test_a_check_that_began_before_somebody_was_forgotten_is_not_remembered() -> None:
    cache = make()
    checkpoint = cache.checkpoint()
    cache.forget(lambda _name: True)
    cache.remember(b"k", "alice", checkpoint)
    assert cache.find(b"k", younger_than_s=FOREVER_S) is None


def test_a_refused_proof_is_not_found() -> None:
    cache = make()
    cache.remember(b"k", "alice", cache.checkpoint())
    cache.refuse(b"k")
    assert cache.find(b"k", younger_than_s=FOREVER_S) is None


def test_the_oldest_goes_when_the_table_is_full() -> None:
    cache = make(size_max=2)
    for name in ("a", "b", "c"):
        cache.remember(name.encode(), name, cache.checkpoint())
    assert cache.find(b"a", younger_than_s=FOREVER_S) is None
    assert cache.find(b"c", younger_than_s=FOREVER_S) == "c"


@given(st.lists(st.text()), st.lists(st.text()))
def test_different_proofs_have_different_keys(one: list[str], two: list[str]) -> None:
    cache = make()
    assert (cache.key(*one) == cache.key(*two)) == (one == two)


def test_another_process_has_other_keys() -> None:
    assert make().key("x") != VerifiedCache[str](b"t" * 32, ManualClock(), 1).key("x")
