from dataclasses import replace
from pathlib import Path

import pytest

from qvdnode.cli import saved_login
from qvdnode.cli.saved_login import OtherNode, SavedLogin
from qvdnode.model.errors import HostFailed, Unauthenticated

LOGIN = SavedLogin("https://node1:8444", "SHA256:" + "00" * 32, "secret")
FARM = replace(LOGIN, others=(OtherNode("https://node2:8444", None),))


def test_a_login_comes_back_as_it_was(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "qvd"
    saved_login.save(LOGIN, folder)
    saved_login.save(LOGIN, folder)
    assert saved_login.load(folder) == LOGIN
    saved_login.save(FARM, folder)
    assert saved_login.load(folder) == FARM
    assert [path.name for path in folder.iterdir()] == [saved_login.FILE_NAME]
    assert saved_login.forget(folder)
    assert not saved_login.forget(folder)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        '{"url": "x"}',
        '{"token": 1, "x": 2}',
        '{"url": "u", "fingerprint": null, "token": "t", "others": [1]}',
    ],
)
def test_a_damaged_file_asks_for_a_new_login(tmp_path: Path, text: str) -> None:
    (tmp_path / saved_login.FILE_NAME).write_text(text)
    with pytest.raises(Unauthenticated, match="qvd login"):
        saved_login.load(tmp_path)


def test_a_place_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("")
    with pytest.raises(HostFailed, match="cannot be kept in"):
        saved_login.save(LOGIN, file / "qvd")
    with pytest.raises(HostFailed, match="cannot be removed"):
        saved_login.forget(file / "qvd")
    with pytest.raises(Unauthenticated, match="cannot be read"):
        saved_login.load(file / "qvd")


def test_the_folder_follows_the_user(tmp_path: Path) -> None:
    assert saved_login.config_folder({"XDG_CONFIG_HOME": "/x"}) == Path("/x/qvd")
    assert saved_login.config_folder({"HOME": "/home/a"}) == Path("/home/a/.config/qvd")
    relative = {"XDG_CONFIG_HOME": "x", "HOME": "/home/a"}
    assert saved_login.config_folder(relative) == Path("/home/a/.config/qvd")
