from qvdnode.image.core import apt_sources

DEB822 = """\
Types: deb
# a comment
URIs: http://mirror.example/debian
Suites: bookworm bookworm-updates
Components: main contrib
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb-src
URIs: http://mirror.example/debian
Suites: bookworm
Components: main

Types: deb
URIs: http://other.example/
Suites: bookworm
Components: stable

Enabled: no
Types: deb
URIs: http://off.example/
Suites: bookworm
Components: main
"""
ONE_LINE = """\
deb [signed-by=/a.gpg arch=amd64] http://mirror.example/security bookworm-security main # why
deb http://vendor.example/apt cloud-sdk-bookworm main
#deb http://off.example/debian bookworm main
deb-src http://mirror.example/debian bookworm main
"""


def test_both_forms_give_debians_own_archive_and_nothing_else() -> None:
    assert apt_sources.for_suite([DEB822, ONE_LINE], "bookworm") == (
        "deb http://mirror.example/debian bookworm main",
        "deb http://mirror.example/debian bookworm-updates main",
        "deb http://mirror.example/security bookworm-security main",
    )


def test_the_same_source_twice_is_one() -> None:
    assert len(apt_sources.for_suite([DEB822, DEB822], "bookworm")) == 2


def test_a_host_of_another_release_lends_its_archives() -> None:
    assert apt_sources.for_suite([DEB822, ONE_LINE], "trixie") == (
        "deb http://mirror.example/debian trixie main",
        "deb http://mirror.example/debian trixie-updates main",
        "deb http://mirror.example/security trixie-security main",
    )
    both = [DEB822, "deb http://other.example trixie main\n"]
    assert apt_sources.for_suite(both, "trixie") == ("deb http://other.example trixie main",)


def test_a_host_of_no_release_that_we_know_has_none() -> None:
    assert apt_sources.for_suite(["deb http://other.example/ noble main\n"], "trixie") == ()


def test_a_field_may_go_on_in_the_next_line() -> None:
    text = "Types: deb\nURIs:\n http://a.example/\nSuites: bookworm\nComponents: main\n"
    assert apt_sources.for_suite([text], "bookworm") == ("deb http://a.example/ bookworm main",)


def test_lines_of_no_known_form_are_passed_over() -> None:
    text = "Types: deb\nnonsense\nURIs: http://a.example/\nSuites: bookworm\nComponents: main\n"
    assert apt_sources.for_suite([text, "nonsense\n"], "bookworm") == (
        "deb http://a.example/ bookworm main",
    )
