"""What the kernel's own files say."""

from qvdnode.host.probes.system import parse_file_systems


def test_file_systems_are_the_last_words() -> None:
    assert parse_file_systems("nodev\toverlay\n\text4\n\n") == frozenset({"overlay", "ext4"})
