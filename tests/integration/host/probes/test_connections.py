"""The kernel's limit on connections."""

from pathlib import Path

from qvdnode.host.probes import connections


def test_the_kernels_limit_is_read(tmp_path: Path) -> None:
    limit = tmp_path / "nf_conntrack_max"
    limit.write_text("262144\n")
    assert connections.capacity(limit) == 262_144


def test_a_kernel_that_tracks_nothing_yet_has_none(tmp_path: Path) -> None:
    assert connections.capacity(tmp_path / "nf_conntrack_max") is None


def test_it_is_looked_for_where_the_kernel_has_it() -> None:
    here = connections.LIMIT.exists()
    assert (connections.capacity() is not None) == here
