from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from qvdnode.vm.core.guest_limits import (
    FIXES,
    FULL_BYTES,
    ROOMY_BYTES,
    SENTENCES,
    TOLD_EVERY_S,
    TRIES,
    GuestLimit,
    LimitCounts,
    LimitReached,
    Measured,
    Notice,
    Notices,
    sentence,
)
from tests.fakes.orders import desktop_order

AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
LATER = AT + timedelta(hours=1)
NOTHING = Measured(0, 0, 1 << 30, 1 << 30)
L = GuestLimit


def test_a_guest_that_reaches_nothing_is_no_news() -> None:
    counts = LimitCounts()
    news = counts.take(NOTHING, AT, 0)
    assert (news.grown, news.tell, counts.reached) == ([], [], ())


@pytest.mark.parametrize(
    ("measured", "limit", "count"),
    [
        (replace(NOTHING, killed=2), L.MEMORY, 2),
        (replace(NOTHING, forks_refused=40), L.PIDS, 40),
        (replace(NOTHING, root_free_bytes=0), L.DISK, 1),
        (replace(NOTHING, home_free_bytes=FULL_BYTES - 1), L.HOME, 1),
    ],
)
def test_each_limit_is_counted_and_told_with_its_time(
    measured: Measured, limit: GuestLimit, count: int
) -> None:
    counts = LimitCounts()
    news = counts.take(measured, AT, 0)
    expected = LimitReached(limit, count, AT)
    assert (news.grown, news.tell, counts.reached) == ([(limit, count)], [expected], (expected,))


def test_what_was_counted_is_no_news_again() -> None:
    counts = LimitCounts()
    measured = Measured(1, 1, 0, 0)
    counts.take(measured, AT, 0)
    news = counts.take(measured, LATER, 10_000)
    assert (news.grown, news.tell) == ([], [])
    assert [one.at for one in counts.reached] == [AT] * 4


def test_a_limit_that_is_reached_all_the_time_is_told_now_and_then() -> None:
    counts = LimitCounts()
    assert counts.take(replace(NOTHING, forks_refused=5), AT, 100).tell
    news = counts.take(replace(NOTHING, forks_refused=9), LATER, 100 + TOLD_EVERY_S - 1)
    assert (news.grown, news.tell) == ([(L.PIDS, 4)], [])
    assert counts.reached == (LimitReached(L.PIDS, 9, LATER),)
    assert counts.take(replace(NOTHING, forks_refused=10), LATER, 100 + TOLD_EVERY_S).tell


def test_a_disk_is_full_once_until_there_was_room() -> None:
    counts = LimitCounts()
    took = [
        counts.take(replace(NOTHING, home_free_bytes=free), AT, number * TOLD_EVERY_S).grown
        for number, free in enumerate([0, FULL_BYTES, 0, ROOMY_BYTES, 0])
    ]
    assert took == [[(L.HOME, 1)], [], [], [], [(L.HOME, 1)]]
    assert counts.reached == (LimitReached(L.HOME, 2, AT),)


def test_what_an_adopted_guest_reached_earlier_is_counted_without_a_time() -> None:
    counts = LimitCounts(adopted=True)
    news = counts.take(Measured(3, 0, 0, 1 << 30), AT, 0)
    # A disk that is full is so now.
    assert [one.limit for one in news.tell] == [L.DISK]
    assert counts.reached == (LimitReached(L.MEMORY, 3, None), LimitReached(L.DISK, 1, AT))
    news = counts.take(Measured(4, 0, 0, 1 << 30), LATER, 5)
    assert news.tell == [LimitReached(L.MEMORY, 4, LATER)]


def test_each_limit_has_a_sentence_with_its_number_and_a_fix() -> None:
    flavour = desktop_order().flavour
    assert set(SENTENCES) == set(FIXES) == set(GuestLimit)
    numbers = {
        L.MEMORY: flavour.memory_mib,
        L.PIDS: flavour.pids_max,
        L.DISK: flavour.disk_mib,
        L.HOME: flavour.home_mib,
    }
    for limit, number in numbers.items():
        assert str(number) in sentence(limit, flavour)
        assert "\n" not in sentence(limit, flavour)


def test_a_newer_notice_replaces_one_that_waits() -> None:
    notices = Notices()
    seen = [notices.waiting]
    assert notices.next() is None
    notices.add(Notice(L.HOME, "old"))
    notices.add(Notice(L.HOME, "new"))
    seen.append(notices.waiting)
    assert notices.next() == Notice(L.HOME, "new")
    seen.append(notices.waiting)
    assert seen == [False, True, False]


def test_a_notice_that_cannot_be_shown_waits_again_but_not_for_ever() -> None:
    notices = Notices()
    notices.add(Notice(L.PIDS, "x"))
    shown = 0
    while (notice := notices.next()) is not None:
        shown += 1
        notices.failed(notice)
    assert shown == TRIES


def test_a_notice_that_failed_does_not_replace_a_newer_one() -> None:
    notices = Notices()
    notices.add(Notice(L.PIDS, "old"))
    old = notices.next()
    assert old is not None
    notices.add(Notice(L.PIDS, "new"))
    notices.failed(old)
    assert notices.next() == Notice(L.PIDS, "new")
