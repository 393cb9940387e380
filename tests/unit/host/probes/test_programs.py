"""The list of Debian packages."""

from qvdnode.host.probes.programs import parse_package_list


def test_comments_and_blank_lines_are_no_packages() -> None:
    text = "# needed\nlxc\n\n  nxproxy  # shows\n#none\n"
    assert parse_package_list(text) == ("lxc", "nxproxy")
