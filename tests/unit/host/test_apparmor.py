from pathlib import Path

import pytest

from qvdnode.host.apparmor import GUEST_PROFILE, AppArmor, probe


def test_a_kernel_without_it_has_no_folder(tmp_path: Path) -> None:
    assert probe(tmp_path / "apparmor") is AppArmor.ABSENT


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
    assert probe(tmp_path) is found


def test_somebody_else_than_root_does_not_know(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_path: Path, **_: object) -> str:
        raise PermissionError

    monkeypatch.setattr(Path, "read_text", refuse)
    assert probe(tmp_path) is AppArmor.UNKNOWN
