from qvdnode.memopt.core.credit import TYPICAL_MIB, Outlook, outlook
from qvdnode.model.vm_state import VmState
from tests.unit.memopt.guests import guest


def test_a_share_of_what_hibernation_and_merging_save_is_credited() -> None:
    asleep = guest(1, unused_s=999, mib=12, state=VmState.HIBERNATED)
    assert outlook([asleep, guest(2)], 300, 50) == Outlook((512 - 12 + 300) // 2, 0)
    assert outlook([asleep], 300, 0).credit_mib == 0


def test_a_hibernated_guest_that_still_has_its_memory_gives_no_credit() -> None:
    assert outlook([guest(mib=600, state=VmState.HIBERNATED)], 0, 100).credit_mib == 0


def test_desktops_that_have_just_started_are_expected_to_grow_like_the_others() -> None:
    young = guest(3, mib=20, up_s=5.0)
    booting = guest(4, mib=0, state=VmState.BOOTING)
    assert outlook([guest(1, mib=100), guest(2, mib=80), young, booting], 0, 0).growth_mib == 160
    assert outlook([young], 0, 0).growth_mib == TYPICAL_MIB - 20


def test_none_is_expected_to_grow_beyond_its_promise() -> None:
    young = guest(2, mib=20, up_s=5.0, promised_mib=64)
    assert outlook([guest(1, mib=100), young], 0, 0).growth_mib == 44
