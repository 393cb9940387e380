import pytest

from qvdnode.image.core.session_needs import (
    INIT,
    NEEDS,
    SCRIPT,
    Need,
    desktop_settings,
    lacking,
    refusal,
    without_session,
)

WHOLE = {need.paths[0] for need in NEEDS}


@pytest.mark.parametrize("need", NEEDS, ids=lambda need: need.name)
def test_each_thing_is_missed_and_any_of_its_places_will_do(need: Need) -> None:
    without = WHOLE - {need.paths[0]}
    assert lacking(without.__contains__) == [need]
    for path in need.paths:
        assert lacking((without | {path}).__contains__) == []


def test_what_lacks_is_one_list_of_packages() -> None:
    told = refusal(lacking({"bin/grep", "usr/bin/env", "usr/bin/timeout"}.__contains__))
    assert told is not None
    assert (
        "apt-get install dbus-daemon dumb-init fonts-dejavu-core nxagent perl-base util-linux"
        " x11-xkb-utils xfce4 xkb-data in it (or another desktop than xfce4)"
    ) in told
    assert told.count("util-linux") == 1


def test_with_a_desktop_none_is_proposed() -> None:
    told = refusal(lacking((WHOLE - {"usr/bin/nxagent"}).__contains__))
    assert told == "the system lacks nxagent: apt-get install nxagent in it"
    assert refusal([]) is None


def test_a_missing_script_is_told_with_all_else_that_lacks() -> None:
    assert without_session({SCRIPT, INIT}.__contains__) is None
    told = without_session((WHOLE | {INIT}).__contains__)
    assert told == (
        "/usr/lib/qvd/session is missing: --add-session puts ours in (docs/desktops.md)"
    )
    told = without_session({SCRIPT}.__contains__)
    assert told is not None
    assert told.startswith("/usr/lib/qvd/init is missing")
    assert "nxagent" in told


@pytest.mark.parametrize(
    ("has", "session"),
    [
        ({"usr/bin/x-session-manager"}, b"exec x-session-manager"),
        ({"etc/alternatives/x-session-manager"}, b"exec x-session-manager"),
        ({"usr/bin/x-window-manager"}, b"exec x-window-manager"),
    ],
)
def test_the_desktop_is_the_systems_own_choice(has: set[str], session: bytes) -> None:
    assert desktop_settings(has.__contains__).startswith(b"session='" + session + b"'\n")
