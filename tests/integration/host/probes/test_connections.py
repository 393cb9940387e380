"""The kernel's limit on connections."""

from pathlib import Path

from qvdnode.host.probes import connections


def test_the_kernels_limit_is_read() -> None:
    assert connections.capacity() == int(connections.LIMIT.read_text())


def test_a_kernel_that_tracks_nothing_yet_has_none(tmp_path: Path) -> None:
    assert connections.capacity(tmp_path / "nf_conntrack_max") is None
