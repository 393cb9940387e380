from dataclasses import replace

import pytest

from qvdnode.image.core.disk_promise import (
    DiskPolicy,
    DiskState,
    Room,
    Store,
    StoreFigures,
    capacity,
    figures,
    promised,
    refusal,
    unused_mib,
)
from qvdnode.model.farm import DesktopOrder
from qvdnode.model.ids import UserId
from tests.fakes.orders import FLAVOUR, desktop_order

STORE = Store("/state", 1, free_mib=9_000, free_inodes=None, used=Room(1_000, 10))
POLICY = DiskPolicy(floor_mib=2_000, overcommit=1.0)
LOOK = DiskState(STORE, STORE, {}, by_quota=False)


def order(vm: int, disk: int = 1_000, home: int = 500, user: int | None = None) -> DesktopOrder:
    flavour = replace(FLAVOUR, disk_mib=disk, home_mib=home)
    return desktop_order(vm, user_id=user or vm, flavour=flavour)


@pytest.mark.parametrize(
    ("floor", "overcommit", "mib"), [(2_000, 1.0, 8_000), (2_000, 1.5, 12_000), (11_000, 4.0, 0)]
)
def test_what_others_leave_may_be_promised(floor: int, overcommit: float, mib: int) -> None:
    assert capacity(STORE, DiskPolicy(floor, overcommit)).mib == mib


def test_every_root_that_runs_and_every_home_that_exists_is_promised() -> None:
    kept = {UserId(1): 700, UserId(9): 4_000}
    taken = promised(replace(LOOK, kept=kept), [order(1), order(2)])
    assert taken == {1: Room(1_000 + 1_000 + 700 + 500 + 4_000, 5)}


def test_two_desktops_of_a_user_share_one_home_of_the_larger_size() -> None:
    both = [order(1, home=500, user=5), order(2, home=800, user=5)]
    assert promised(LOOK, both)[1].mib == 2_800


def test_a_home_that_grows_with_its_flavour_counts_as_it_will_be() -> None:
    look = replace(LOOK, kept={UserId(1): 500})
    assert promised(look, [order(1, home=900)])[1].mib == 1_900


def test_what_fits_exactly_is_let_in_and_one_more_is_not() -> None:
    others = [order(vm) for vm in range(2, 7)]  # 7,500 of 8,000
    assert refusal(LOOK, POLICY, others, order(1, disk=400, home=100)) is None
    because = refusal(LOOK, POLICY, others, order(1, disk=401, home=100))
    assert because is not None
    assert "501 MiB more in /state, of which 500 are not promised" in because
    for setting in ("disk_mib (401)", "home_mib (100)", "image.disk_overcommit"):
        assert setting in because


def test_a_disk_that_is_promised_too_often_already_is_told_to_have_nothing_left() -> None:
    look = replace(LOOK, kept={UserId(9): 50_000})
    assert "of which 0 are not promised" in str(refusal(look, POLICY, [], order(1)))


def test_roots_and_homes_on_file_systems_of_their_own_are_judged_each_by_its_own() -> None:
    homes = Store("/state/homes", 2, free_mib=3_000, free_inodes=None, used=Room(0, 0))
    look = replace(LOOK, homes=homes)
    assert promised(look, [order(1)]) == {1: Room(1_000, 1), 2: Room(500, 1)}
    assert refusal(look, POLICY, [], order(1, disk=8_000, home=1_000)) is None
    assert "/state/homes" in str(refusal(look, POLICY, [], order(1, disk=8_000, home=1_001)))
    assert figures(look, POLICY, [order(1)]) == [
        StoreFigures("/state", 9_000, 8_000, 1_000),
        StoreFigures("/state/homes", 3_000, 1_000, 500),
    ]


def test_under_quota_a_guests_files_are_those_of_the_file_system() -> None:
    scarce = replace(STORE, free_inodes=40_000)
    look = DiskState(scarce, scarce, {}, by_quota=True)
    assert refusal(look, POLICY, [], order(1, disk=10, home=10)) is None
    others = [order(2, disk=10, home=10)]
    because = refusal(look, POLICY, others, order(1, disk=10, home=10))
    assert "32768 inodes more in /state, of which 7242 are not promised" in str(because)
    by_files = replace(look, by_quota=False)
    assert refusal(by_files, POLICY, others, order(1, disk=10, home=10)) is None


def test_what_desktops_do_not_take_yet_is_kept_from_others() -> None:
    look = replace(LOOK, kept={UserId(9): 4_000})
    assert unused_mib(look, POLICY, [order(1)], 1) == 1_000 + 500 + 4_000 - 1_000
    assert unused_mib(look, DiskPolicy(2_000, 2.0), [order(1)], 1) == 1_750
    assert unused_mib(LOOK, POLICY, [], 1) == 0
    assert unused_mib(look, POLICY, [order(1)], 2) == 0
