from pathlib import Path

import pytest

from qvdnode.host.apparmor import GUEST_PROFILE, AppArmor, look


def test_a_kernel_without_it_has_no_folder(tmp_path: Path) -> None:
    assert look(tmp_path / "apparmor") is AppArmor.ABSENT


@pytest.mark.parametrize(
    ("profiles", "found"),
    [
        (f"/usr/bin/lxc-start (enforce)\n{GUEST_PROFILE} (enforce)\n", AppArmor.READY),
        (f"{GUEST_PROFILE}-of-others (enforce)\n", AppArmor.WITHOUT_PROFILE),
        ("", AppArmor.WITHOUT_PROFILE),
        (None, AppArmor.WITHOUT_PROFILE),
    ],
)
def test_the_guests_profile_is_looked_for(
    tmp_path: Path, profiles: str | None, found: AppArmor
) -> None:
    if profiles is not None:
        (tmp_path / "profiles").write_text(profiles)
    assert look(tmp_path) is found
