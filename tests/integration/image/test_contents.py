"""What an image has, looked up in its root without trusting it."""

import os
import subprocess
from pathlib import Path

import pytest

from qvdnode.image.contents import ImageContents, ImageRoot
from qvdnode.image.settings import ImageSettings
from qvdnode.image.versions import ImageVersions
from qvdnode.model.errors import HostFailed
from qvdnode.model.ids import ImageId
from qvdnode.model.image_lack import Lacking, Wishes
from tests.exhaustion import nothing_to_open_with

GOOD = Wishes("C.UTF-8", "Etc/UTC", "/bin/sh")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A root with a shell, a time zone and a locale of its own."""
    root = tmp_path / "images" / "3" / "1" / "rootfs"
    for folder in ("usr/bin", "usr/share/zoneinfo/Etc", "usr/lib/locale/eo_EO.utf8"):
        (root / folder).mkdir(parents=True)
    (root / "bin").symlink_to("usr/bin")
    (root / "usr/bin/dash").write_text("x")
    (root / "usr/bin/dash").chmod(0o755)
    (root / "usr/bin/sh").symlink_to("/usr/bin/dash")
    (root / "usr/bin/plain").write_text("x")
    (root / "usr/share/zoneinfo/Etc/UTC").write_text("x")
    return root


@pytest.mark.parametrize(
    ("wishes", "lacking"),
    [
        (GOOD, Lacking()),
        (Wishes("eo_EO.UTF-8", "Etc/UTC", "/bin/sh"), Lacking()),
        (Wishes("es_ES.UTF-8", "Etc/UTC", "/bin/sh"), Lacking(locale=True)),
        (Wishes("..", "Etc/UTC", "/bin/sh"), Lacking(locale=True)),
        (Wishes("C", "Etc", "/bin/sh"), Lacking(timezone=True)),
        (Wishes("C", "Europe/Madrid", "/bin/zsh"), Lacking(timezone=True, shell=True)),
        (Wishes("C", "Etc/UTC", "/bin/plain"), Lacking(shell=True)),
        (Wishes("C", "Etc/UTC", "/bin"), Lacking(shell=True)),
    ],
)
def test_what_an_image_lacks_is_found(root: Path, wishes: Wishes, lacking: Lacking) -> None:
    with ImageRoot(root) as image:
        assert image.lacking(wishes) == lacking


def test_links_lead_nowhere_out_of_the_image(root: Path, tmp_path: Path) -> None:
    (tmp_path / "outside").write_text("x")
    (root / "usr/share/zoneinfo/Up").symlink_to("../../../../../../../outside")
    (root / "usr/share/zoneinfo/Absolute").symlink_to(tmp_path / "outside")
    os.mkfifo(root / "usr/share/zoneinfo/Pipe")
    with ImageRoot(root) as image:
        for name in ("Up", "Absolute", "Pipe"):
            assert image.lacking(Wishes("C", name, "/bin/sh")).timezone


def test_a_real_archive_tells_its_locales(root: Path) -> None:
    (root / "usr/lib/locale").mkdir(exist_ok=True)
    command = ["localedef", "--prefix", str(root), "-i", "es_ES", "-f", "UTF-8", "es_ES.UTF-8"]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    with ImageRoot(root) as image:
        assert not image.lacking(Wishes("es_ES.UTF-8", "Etc/UTC", "/bin/sh")).locale
        assert image.lacking(Wishes("de_DE.UTF-8", "Etc/UTC", "/bin/sh")).locale


def test_a_damaged_archive_has_no_locales(root: Path) -> None:
    (root / "usr/lib/locale/locale-archive").write_bytes(b"nonsense" * 100)
    with ImageRoot(root) as image:
        assert image.lacking(Wishes("es_ES.UTF-8", "Etc/UTC", "/bin/sh")).locale


async def test_answers_are_remembered_and_a_version_elsewhere_lacks_nothing(
    root: Path, tmp_path: Path
) -> None:
    contents = ImageContents(ImageVersions(ImageSettings(state_dir=tmp_path)))
    wishes = Wishes("C", "Europe/Madrid", "/bin/sh")
    assert await contents.lacking(ImageId(3), 1, wishes) == Lacking(timezone=True)
    (root / "usr/share/zoneinfo/Europe").mkdir()
    (root / "usr/share/zoneinfo/Europe/Madrid").write_text("x")
    assert await contents.lacking(ImageId(3), 1, wishes) == Lacking(timezone=True)
    assert await contents.lacking(ImageId(3), 2, wishes) == Lacking()


def test_without_descriptors_nothing_is_said_to_lack(root: Path, tmp_path: Path) -> None:
    with pytest.raises(HostFailed):
        ImageRoot(tmp_path / "gone")
    with ImageRoot(root) as image, nothing_to_open_with(), pytest.raises(HostFailed):
        image.lacking(GOOD)
