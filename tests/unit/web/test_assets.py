"""The files of the web pages in memory."""

import gzip
from pathlib import Path

import pytest

from qvdnode.web.assets import Pages, load_assets

HTML = '<link rel="stylesheet" href="/assets/VERSION/style.css">'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Some files, and some that must not be served."""
    made = tmp_path / "static"
    (made / "vendor").mkdir(parents=True)
    (made / "index.html").write_text(HTML)
    (made / "desktop.html").write_text(HTML)
    (made / "vendor" / "lib.js").write_text("export const text = 'a';\n" * 100)
    (made / "tiny.js").write_text("1")
    (made / "picture.png").write_bytes(b"\x89PNG" * 100)
    (made / ".hidden.js").write_text("secret")
    (made / "notes.lock").write_text("not for browsers")
    (tmp_path / "outside.js").write_text("secret")
    (made / "link.js").symlink_to(tmp_path / "outside.js")
    (made / "away").symlink_to(tmp_path)
    return made


def test_pages_name_the_version_of_all_files(folder: Path) -> None:
    assets = load_assets(folder)
    assert assets.files["index.html"].body == HTML.replace("VERSION", assets.version).encode()
    assert "trusted-types" in (assets.files["index.html"].policy or "")
    assert "trusted-types" not in (assets.files["desktop.html"].policy or "")
    assert assets.files["vendor/lib.js"].policy is None


def test_a_changed_file_changes_the_version(folder: Path) -> None:
    before = load_assets(folder)
    assert load_assets(folder) == before
    (folder / "tiny.js").write_text("2")
    after = load_assets(folder)
    assert after.version != before.version
    assert after.files["tiny.js"].etag != before.files["tiny.js"].etag
    assert after.files["vendor/lib.js"].etag == before.files["vendor/lib.js"].etag


def test_a_file_is_compressed_where_that_helps(folder: Path) -> None:
    files = load_assets(folder).files
    packed = files["vendor/lib.js"].gzipped
    assert packed is not None
    assert len(packed) < len(files["vendor/lib.js"].body) / 5
    assert gzip.decompress(packed) == files["vendor/lib.js"].body
    assert files["tiny.js"].gzipped is None
    assert files["picture.png"].gzipped is None


def test_links_hidden_files_and_others_are_left_out(folder: Path) -> None:
    assert sorted(load_assets(folder).files) == [
        "desktop.html", "index.html", "picture.png", "tiny.js", "vendor/lib.js"
    ]  # fmt: skip


def test_a_missing_folder_has_no_files(tmp_path: Path) -> None:
    assert load_assets(tmp_path / "none").files == {}


async def test_the_files_are_read_once(folder: Path) -> None:
    pages = Pages(folder)
    first = await pages.assets()
    (folder / "tiny.js").write_text("2")
    assert await pages.assets() is first
