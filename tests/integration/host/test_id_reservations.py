"""Instances on one host have ids apart; one that has ended is in nobody's way."""

import secrets
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from qvdnode.host.id_reservations import SPARE, holder_of, holds_any, reserved, unused
from qvdnode.model.errors import HostFailed

FIRST = SPARE.stop + secrets.randbelow(800) * 5 * 65_536
IDS = range(FIRST, FIRST + 4 * 65_536)
"""Above those that a node, a demo or a test takes, and others than those of another run of these
tests: nothing else of this host runs under them."""
HOLD = """
import sys
from pathlib import Path
from qvdnode.host.id_reservations import reserved
with reserved(range(int(sys.argv[1]), int(sys.argv[2])), Path("/srv/first"), Path(sys.argv[3])):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.mark.parametrize(
    "other", [IDS, IDS[65_536:131_072], range(IDS.stop - 65_536, IDS.stop + 65_536)]
)
def test_a_second_instance_is_refused_and_told_who_has_them(tmp_path: Path, other: range) -> None:
    with (
        reserved(IDS, Path("/srv/first"), tmp_path),
        pytest.raises(HostFailed, match=r"/srv/first has some .* vm\.id_base"),
        reserved(other, Path("/srv/second"), tmp_path),
    ):
        pass


def test_ids_beside_each_other_are_no_clash(tmp_path: Path) -> None:
    beside = range(IDS.stop, IDS.stop + 65_536)
    with reserved(IDS, Path("/a"), tmp_path), reserved(beside, Path("/b"), tmp_path):
        pass


def test_ids_are_free_once_let_go(tmp_path: Path) -> None:
    for holder in ("/srv/first", "/srv/second"):
        with reserved(IDS, Path(holder), tmp_path):
            pass


def test_a_killed_instance_holds_nothing(tmp_path: Path) -> None:
    argv = [sys.executable, "-c", HOLD, str(IDS.start), str(IDS.stop), str(tmp_path)]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as first:
        assert first.stdout is not None
        assert first.stdout.readline() == b"held\n"
        with (
            pytest.raises(HostFailed, match="/srv/first"),
            reserved(IDS, Path("/srv/second"), tmp_path),
        ):
            pass
        first.kill()
        first.wait()
    with reserved(IDS, Path("/srv/second"), tmp_path):
        pass


@contextmanager
def a_process_under(uid: int) -> Iterator[None]:
    """Like a guest's, which lives on when its node ends."""
    with subprocess.Popen(["sleep", "60"], user=uid) as process:
        try:
            yield
        finally:
            process.kill()


def test_the_ids_of_guests_that_run_on_stay_their_nodes(tmp_path: Path) -> None:
    (first, second) = Path("/srv/first"), Path("/srv/second")
    with a_process_under(IDS.start + 7):
        with reserved(IDS, first, tmp_path):
            pass
        assert holds_any(first, tmp_path)
        assert not holds_any(second, tmp_path)
        with pytest.raises(HostFailed, match="/srv/first"), reserved(IDS, second, tmp_path):
            pass
        assert holder_of(IDS, tmp_path) == "/srv/first"
        with reserved(IDS, first, tmp_path):
            pass
        # The node comes back with other ids while guests of before still have theirs.
        with reserved(range(IDS.stop, IDS.stop + 65_536), first, tmp_path):
            assert holder_of(IDS, tmp_path) == "/srv/first"
    assert not holds_any(first, tmp_path)
    with reserved(IDS, second, tmp_path):
        assert holder_of(IDS, tmp_path) == "/srv/second"
        assert holds_any(second, tmp_path)


def test_looking_changes_nothing(tmp_path: Path) -> None:
    (tmp_path / f"{IDS.start}-{IDS.stop}").write_text("/srv/dead")
    assert holder_of(IDS, tmp_path) is None
    assert [path.name for path in tmp_path.iterdir()] == [f"{IDS.start}-{IDS.stop}"]
    assert holder_of(IDS, tmp_path / "missing") is None
    with reserved(IDS, Path("/srv/first"), tmp_path):
        assert holder_of(IDS, tmp_path) == "/srv/first"
        assert holder_of(IDS, tmp_path, but=Path("/srv/first")) is None


def test_unused_ids_keep_clear_of_those_that_are_claimed(tmp_path: Path) -> None:
    count = len(SPARE) // 4
    found = unused(count, seed=7, records=tmp_path)
    assert found == unused(count, seed=7, records=tmp_path)
    assert found.start % 65_536 == 0
    with reserved(found, Path("/srv/first"), tmp_path):
        assert unused(count, seed=7, records=tmp_path, but=Path("/srv/first")) == found
        other = unused(count, seed=7, records=tmp_path)
        assert other.stop <= found.start or found.stop <= other.start
    # The same holder: guests of others on this host may run under its ids, which keeps its record.
    with (
        reserved(SPARE, Path("/srv/first"), tmp_path),
        pytest.raises(HostFailed, match="are reserved"),
    ):
        unused(count, seed=7, records=tmp_path)


def test_a_record_folder_that_cannot_be_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with (
        pytest.raises(HostFailed, match="cannot be reserved"),
        reserved(IDS, Path("/a"), tmp_path / "file" / "ids"),
    ):
        pass
