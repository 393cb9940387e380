from dataclasses import replace

import pytest

from qvdnode.image.core.recipe import Recipe, build_argv, command_argv, is_complaint, stage

RECIPE = Recipe("small", "bookworm", ("icewm", "nxagent"), ("es_ES",), {"etc/x": (b"x", 0o644)})


def test_the_command_names_suite_target_packages_and_sources() -> None:
    argv = build_argv(RECIPE, "/target", sources=("deb http://a b main",))
    assert argv[0] == "mmdebstrap"
    assert "--include=icewm,nxagent" in argv
    assert argv[-3:] == ["bookworm", "/target", "deb http://a b main"]


def test_locales_are_kept_and_made() -> None:
    argv = build_argv(RECIPE, "/target", sources=())
    assert "--dpkgopt=path-include=/usr/share/locale/es*" in argv
    (hook,) = [word for word in argv if "localedef" in word]
    assert "printf '%s\\n' es_ES |" in hook
    without = build_argv(replace(RECIPE, locales=()), "/target", sources=())
    assert not any("localedef" in word for word in without)


def test_an_odd_locale_is_refused() -> None:
    with pytest.raises(ValueError, match="not a locale"):
        build_argv(replace(RECIPE, locales=("C; rm -rf /",)), "/target", sources=())


def test_the_digest_follows_the_content() -> None:
    assert RECIPE.digest() == replace(RECIPE, name="other").digest()
    for changed in (
        replace(RECIPE, packages=("icewm",)),
        replace(RECIPE, locales=()),
        replace(RECIPE, files={"etc/x": (b"y", 0o644)}),
        replace(RECIPE, files={"etc/x": (b"x", 0o755)}),
        replace(RECIPE, libraries={"usr/lib/x.so": "etc/x"}),
        replace(RECIPE, commands=("true",)),
        replace(RECIPE, suite="trixie"),
    ):
        assert changed.digest() != RECIPE.digest()


def test_a_command_runs_in_the_image_alone() -> None:
    argv = command_argv("/root", "dconf update")
    assert argv[:4] == ["unshare", "--mount", "--propagation", "slave"]
    assert argv[argv.index("chroot") :] == ["chroot", "/root", "/bin/sh", "-ec", "dconf update"]


def test_progress_only_grows() -> None:
    lines = (
        "I: running apt-get update...",
        "I: downloading packages with apt...",
        "I: extracting archives...",
        "I: installing essential packages...",
        "I: installing remaining packages inside the chroot...",
        "I: running --customize-hook in shell: sh -c 'x'",
        "I: cleaning package lists and apt cache...",
    )
    percents = [told[0] for line in lines if (told := stage(line))]
    assert len(percents) == len(lines)
    assert percents == sorted(percents)
    assert stage("dpkg: warning") is None


@pytest.mark.parametrize(
    ("line", "is_one"),
    [
        ("E: Unable to locate package gimpp", True),
        ("E: Failed to fetch http://mirror.example/x.deb  404  Not Found", True),
        ("dpkg: error processing package jre (--configure):", True),
        ("update-alternatives: error: error creating symbolic link", True),
        ("E: apt-get --yes install a b c failed", False),
        ("I: installing remaining packages inside the chroot...", False),
        ("Get:1 http://mirror.example bookworm/main libgpg-error0", False),
    ],
)
def test_what_says_why_a_build_failed_is_found(line: str, is_one: bool) -> None:
    assert is_complaint(line) is is_one


def test_packages_that_link_beside_their_manuals_find_a_folder() -> None:
    argv = build_argv(RECIPE, "/target", sources=())
    assert '--essential-hook=mkdir -p "$1"/usr/share/man/man1' in argv
