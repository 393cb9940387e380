"""What was seen of an image, judged."""

from dataclasses import replace

from qvdnode.cli.doctor.finding import Finding, Level
from qvdnode.cli.image_check.verdicts import SCRIPTS, Idle, Seen, of_desktop, of_driver

QUIET = Idle(cpu_pct=0.0, wakeups_per_s=0.4, pss_mib=32, busiest="icewm")
SEEN = Seen(1.0, 2.0, QUIET, {"xdg-screensaver": True, "loginctl": True})
FACTS = {
    "lang": "es_ES.UTF-8", "charmap": "UTF-8", "locales": "C POSIX es_ES.utf8 en_US.utf8",
    "libGL.so.1": "yes", "indirect": "1", "libEGL_mesa.so.0": "yes", "libpulse.so.0": "yes",
    "bus": "yes", **{f"font_{script}": "A font" for script in SCRIPTS},
}  # fmt: skip


def without(*keys: str) -> dict[str, str]:
    return {key: value for key, value in FACTS.items() if key not in keys}


def by_subject(findings: list[Finding]) -> dict[str, Finding]:
    return {finding.subject: finding for finding in findings}


def levels(findings: list[Finding]) -> dict[str, Level]:
    return {item.subject: item.level for item in findings if item.level is not Level.OK}


def test_an_image_that_has_all_is_well() -> None:
    found = of_desktop(SEEN, FACTS)
    assert levels(found) == {}
    assert by_subject(found)["display"].text == "shown after 1.0 s, drawn after 2.0 s"
    assert by_subject(found)["locale"].text == "es_ES.UTF-8; the image has en_US.utf8, es_ES.utf8"


def test_a_driver_serves_or_has_a_reason() -> None:
    assert of_driver("lxc", None).level is Level.OK
    found = of_driver("kvm", "The image has no kernel: build it with --add kernel.")
    assert (found.level, found.text, found.fix) == (
        Level.WARNING, "The image has no kernel", "Build it with --add kernel.",
    )  # fmt: skip


def test_a_desktop_that_draws_nothing_is_an_error() -> None:
    assert levels(of_desktop(replace(SEEN, drawn_s=None), FACTS)) == {"display": Level.ERROR}


def test_letters_that_no_font_has_are_named_with_the_package() -> None:
    found = by_subject(of_desktop(SEEN, without("font_korean", "font_emoji")))["fonts"]
    assert found.text == "none for korean, emoji"
    assert found.fix == "apt-get install fonts-noto-cjk fonts-noto-color-emoji"
    bare = by_subject(of_desktop(SEEN, {**FACTS, "no_fontconfig": "yes"}))["fonts"]
    assert bare.fix == "apt-get install fontconfig"


def test_a_session_without_utf_8_or_languages_is_told() -> None:
    found = by_subject(of_desktop(SEEN, {**FACTS, "charmap": "ANSI_X3.4-1968"}))["locale"]
    assert found.level is Level.WARNING
    assert "es_ES.UTF-8 has no UTF-8" in found.text
    assert by_subject(of_desktop(SEEN, {**FACTS, "locales": "C POSIX"}))["locale"].level is (
        Level.WARNING
    )


def test_opengl_that_would_end_programs_is_told() -> None:
    assert levels(of_desktop(SEEN, without("indirect", "libEGL_mesa.so.0"))) == {
        "OpenGL": Level.WARNING
    }
    none = by_subject(of_desktop(SEEN, without("libGL.so.1", "libEGL_mesa.so.0")))["OpenGL"]
    assert none.level is Level.OK


def test_a_missing_sound_client_and_bus_are_told() -> None:
    found = of_desktop(SEEN, without("libpulse.so.0", "bus"))
    assert levels(found) == {"sound client": Level.WARNING, "D-Bus": Level.WARNING}
    alsa = by_subject(of_desktop(SEEN, {**without("libpulse.so.0"), "libasound.so.2": "yes"}))
    assert "ALSA's library alone" in alsa["sound client"].text


def test_what_a_session_has_besides_is_named() -> None:
    more = {"keyring": "gnome-keyring", "ssh_agent": "/tmp/x", "input_method": "@im=ibus"}
    found = by_subject(of_desktop(SEEN, {**FACTS, **more, "locker": "slock"}))
    assert found["input method"].text == "@im=ibus"
    assert found["keyring"].text == "gnome-keyring"
    assert "SSH agent" in found
    assert found["locker"].text == "the image brings slock; a reconnect unlocks it"


def test_a_lock_that_does_not_leave_is_named() -> None:
    found = of_desktop(replace(SEEN, left_by={"xdg-screensaver": True, "loginctl": False}), FACTS)
    assert levels(found) == {"locking": Level.WARNING}
    assert by_subject(found)["locking"].text.startswith("loginctl did not")


def test_an_idle_desktop_that_works_is_named_with_who_wakes_it() -> None:
    for busy in (replace(QUIET, cpu_pct=0.3), replace(QUIET, wakeups_per_s=2.1)):
        found = by_subject(of_desktop(replace(SEEN, idle=busy), FACTS))["idle"]
        assert found.level is Level.WARNING
        assert found.fix.startswith("icewm wakes")
    unmeasured = of_desktop(replace(SEEN, idle=None, left_by={}), FACTS)
    assert {"idle", "locking"}.isdisjoint(by_subject(unmeasured))
