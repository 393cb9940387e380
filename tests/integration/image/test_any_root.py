"""Roots that were not made for us become images: devices, double entries, no session script."""

import tarfile
from pathlib import Path

import pytest

from qvdnode.image import recipes
from qvdnode.image.core.session_needs import NEEDS
from qvdnode.image.importer import Importer
from qvdnode.image.settings import ImageSettings
from qvdnode.model.errors import BadImage
from qvdnode.model.ids import ImageId
from tests.integration.image.seen_version import seen_version
from tests.integration.image.tiny_root import Piece, complete, stream, tar

IMAGE = ImageId(3)
EVIL = Path("/etc/evil")


async def imported(settings: ImageSettings, content: bytes) -> Path:
    """The root of an image that was imported and placed."""
    importer = Importer(settings)
    await importer.place(await importer.import_tar(stream(content), "test"), IMAGE, 1)
    return seen_version(settings, IMAGE, 1)


async def test_nothing_is_taken_from_dev(settings: ImageSettings) -> None:
    nodes = [
        Piece("./dev", kind=tarfile.DIRTYPE),
        Piece("./dev/null", kind=tarfile.CHRTYPE),
        Piece("./dev/sda", kind=tarfile.BLKTYPE),
        Piece("./dev/console", b""),
        Piece("./dev/fd", kind=tarfile.SYMTYPE, link="/proc/self/fd"),
        Piece("./dev/pts", kind=tarfile.DIRTYPE),
    ]
    root = await imported(settings, tar(complete(*nodes)))
    assert list((root / "dev").iterdir()) == []


async def test_the_later_of_two_entries_counts(settings: ImageSettings) -> None:
    folder, link = tarfile.DIRTYPE, tarfile.SYMTYPE
    root = await imported(
        settings,
        tar(
            complete(
                Piece("./srv/file", b"old"), Piece("./srv/file", b"new", mode=0o600),
                Piece("./srv/was-link", kind=link, link="/etc"), Piece("./srv/was-link", b"file"),
                Piece("./srv/was-file", b"x"), Piece("./srv/was-file", kind=folder, mode=0o700),
                Piece("./srv/was-file/in", b"x"),
                Piece("./srv/was-to", kind=link, link="/etc"), Piece("./srv/was-to", kind=folder),
                Piece("./srv/was-folder", kind=folder), Piece("./srv/was-folder", b"file"),
                Piece("./srv/hard", b"x"),
                Piece("./srv/hard", kind=tarfile.LNKTYPE, link="srv/file"),
                Piece("./srv/hard", kind=tarfile.LNKTYPE, link="srv/file"),
                Piece("./srv/file", kind=tarfile.LNKTYPE, link="srv/file"),
            )
        ),
    )  # fmt: skip
    place = root / "srv"
    assert (place / "file").read_bytes() == b"new"
    assert (place / "file").stat().st_mode & 0o777 == 0o600
    assert (place / "was-link").read_bytes() == b"file"
    assert (place / "was-file/in").read_bytes() == b"x"
    assert (place / "was-to").is_dir()
    assert not (place / "was-to").is_symlink()
    assert (place / "was-folder").read_bytes() == b"file"
    assert (place / "hard").samefile(place / "file")


async def test_folders_without_an_entry_can_be_entered(settings: ImageSettings) -> None:
    root = await imported(settings, tar(complete(Piece("./opt/a/b/file", b"x", mode=0o644))))
    for folder in ("opt", "opt/a", "opt/a/b"):
        assert (root / folder).stat().st_mode & 0o7777 == 0o755


def bookworm(*left_out: str) -> list[Piece]:
    """A tiny root that has what our session files need, but what is left out."""
    folders = [path for need in NEEDS for path in need.paths[:1] if path not in left_out]
    return [piece for piece in complete() if "qvd" not in piece.name] + [
        Piece(f"./{path}", b"x") for path in folders
    ]


async def test_our_session_is_put_into_a_system_without_one(settings: ImageSettings) -> None:
    importer = Importer(settings)
    evil = [Piece("./usr/lib/qvd/leave", kind=tarfile.SYMTYPE, link="/etc/evil")]
    content = tar([*bookworm(), *evil])
    with pytest.raises(BadImage, match="--add-session puts ours in"):
        await importer.import_tar(stream(content), "test")
    made = await importer.import_tar(stream(content), "test", add_session=True)
    await importer.place(made, IMAGE, 1)
    assert [path.name for path in (settings.state_dir / "images/3/1").iterdir()] == ["commit"]
    root = seen_version(settings, IMAGE, 1)
    added = root / "usr/lib/qvd"
    assert added.stat().st_mode & 0o7777 == 0o755, "the desktop's user could not enter it"
    for path, (wanted, mode) in recipes.session_files().items():
        assert (root / path).read_bytes() == wanted
        assert (root / path).stat().st_mode & 0o7777 == mode
    assert (added / "nx-guard.so").read_bytes().startswith(b"\x7fELF")
    assert (added / "desktop.conf").read_text().startswith("session='exec x-session-manager'")
    assert not EVIL.exists()


async def test_what_our_session_needs_is_told_in_one_list(settings: ImageSettings) -> None:
    content = tar(bookworm("usr/bin/nxagent", "usr/bin/dumb-init"))
    with pytest.raises(BadImage, match="apt-get install dumb-init nxagent in it"):
        await Importer(settings).import_tar(stream(content), "bare", add_session=True)
    assert list((settings.state_dir / "images").iterdir()) == []


async def test_a_desktop_of_the_systems_own_choice_stays(settings: ImageSettings) -> None:
    chosen = Piece("./usr/lib/qvd/desktop.conf", b"session=mine\n")
    importer = Importer(settings)
    content = tar([*bookworm(), chosen])
    await importer.place(
        await importer.import_tar(stream(content), "test", add_session=True), IMAGE, 1
    )
    kept = seen_version(settings, IMAGE, 1) / "usr/lib/qvd/desktop.conf"
    assert kept.read_bytes() == b"session=mine\n"
