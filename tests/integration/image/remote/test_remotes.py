"""The list of remotes, which has passwords."""

import json
from pathlib import Path

import pytest

from qvdnode.image.remote.remotes import FILE, Remote, Remotes
from qvdnode.model.errors import BadImage, Conflict, Invalid, NotFound

LAB = Remote("lab", "docker://registry.example/lab", "ana", "secret")


def test_remotes_are_kept_by_name_where_only_root_reads(tmp_path: Path) -> None:
    remotes = Remotes(tmp_path / "store")
    assert remotes.all() == []
    remotes.add(LAB)
    remotes.add(Remote("all", "oci:/srv/images"))
    assert [one.name for one in Remotes(tmp_path / "store").all()] == ["all", "lab"]
    assert remotes.get("lab") == LAB
    assert (tmp_path / "store" / FILE).stat().st_mode & 0o077 == 0
    remotes.remove("all")
    assert remotes.all() == [LAB]


def test_adding_the_same_again_is_fine_and_another_one_is_not(tmp_path: Path) -> None:
    remotes = Remotes(tmp_path)
    remotes.add(LAB)
    remotes.add(LAB)
    with pytest.raises(Conflict, match=r"registry\.example"):
        remotes.add(Remote("lab", "oci:/elsewhere"))


@pytest.mark.parametrize(
    "remote",
    [
        Remote("", "oci:/srv"),
        Remote("a/b", "oci:/srv"),
        Remote("lab", "ftp://somewhere"),
        Remote("lab", "oci:/srv", "ana", "secret"),
        Remote("lab", "oci:/srv", plain_http=True),
    ],
)
def test_what_cannot_be_a_remote(tmp_path: Path, remote: Remote) -> None:
    with pytest.raises(Invalid):
        Remotes(tmp_path).add(remote)
    assert Remotes(tmp_path).all() == []


def test_a_name_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="remote add lab URL"):
        Remotes(tmp_path).get("lab")
    with pytest.raises(NotFound):
        Remotes(tmp_path).remove("lab")


@pytest.mark.parametrize("text", ["", "{", "[1]", json.dumps([{"name": "lab"}])])
def test_a_damaged_file_is_told(tmp_path: Path, text: str) -> None:
    (tmp_path / FILE).write_text(text)
    with pytest.raises(BadImage, match="damaged"):
        Remotes(tmp_path).all()
