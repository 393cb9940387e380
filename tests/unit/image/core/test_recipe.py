from dataclasses import replace

import pytest

from qvdnode.image.core.recipe import Recipe, build_argv, parse_packages, stage

RECIPE = Recipe("small", "bookworm", ("icewm", "nxagent"), ("es_ES",), {"etc/x": (b"x", 0o644)})


def test_the_command_names_suite_target_packages_and_sources() -> None:
    argv = build_argv(RECIPE, "/target", sources=("deb http://a b main",))
    assert argv[0] == "mmdebstrap"
    assert "--include=icewm,nxagent" in argv
    assert argv[-3:] == ["bookworm", "/target", "deb http://a b main"]


def test_locales_are_kept_and_made() -> None:
    argv = build_argv(RECIPE, "/target", sources=())
    assert "--dpkgopt=path-include=/usr/share/locale/es*" in argv
    assert any("localedef -i es_ES" in word for word in argv)


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
    ):
        assert changed.digest() != RECIPE.digest()


def test_package_lists_are_sorted_and_checked() -> None:
    assert parse_packages("# why\nnxagent\n\nicewm\nicewm\n") == ("icewm", "nxagent")
    with pytest.raises(ValueError, match="not the name"):
        parse_packages("icewm --force\n")


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
