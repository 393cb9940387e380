"""Paths of images, homes and guests in the state folder. No I/O."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Final

from qvdnode.model.ids import Generation, ImageId, UserId, VmId

STAGING_PREFIX: Final = ".staging-"
"""Begins the names of folders with imports that are under way."""


@dataclass(frozen=True, slots=True)
class GuestFolders:
    """The folders of one generation of one VM."""

    LEASE: ClassVar[str] = "image"

    folder: Path

    @property
    def lease(self) -> Path:
        """The file that says which version of which image the guest runs on."""
        return self.folder / self.LEASE

    @property
    def lower(self) -> Path:
        """The image's root, seen with the guest's ids; read-only."""
        return self.folder / "lower"

    @property
    def disk_file(self) -> Path:
        """The file that limits the size of what the guest writes, where quota does not."""
        return self.folder / "disk.img"

    @property
    def disk(self) -> Path:
        """The folder with all that the guest writes."""
        return self.folder / "disk"

    @property
    def upper(self) -> Path:
        """The overlay's upper folder."""
        return self.disk / "upper"

    @property
    def work(self) -> Path:
        """The overlay's work folder."""
        return self.disk / "work"

    @property
    def root(self) -> Path:
        """The mounted overlay: the guest's root."""
        return self.folder / "root"

    @property
    def home(self) -> Path:
        """The user's home, seen with the guest's ids."""
        return self.folder / "home"


@dataclass(frozen=True, slots=True)
class Layout:
    """Paths below one state folder."""

    state_dir: Path

    @property
    def images(self) -> Path:
        """All images."""
        return self.state_dir / "images"

    @property
    def store(self) -> Path:
        """The store of commits; on the file system of the images."""
        return self.images / "store"

    @property
    def image_mounts(self) -> Path:
        """Mounts of commits."""
        return self.state_dir / "image-mounts"

    @property
    def homes(self) -> Path:
        """All homes."""
        return self.state_dir / "homes"

    @property
    def kept(self) -> Path:
        """What desktops changed, where their flavour keeps it."""
        return self.state_dir / "kept"

    def kept_disk(self, vm_id: VmId) -> Path:
        """The folder with a desktop's changes; mounted while it runs."""
        return self.kept / str(vm_id)

    def kept_file(self, vm_id: VmId) -> Path:
        """The file that limits its size, where quota does not."""
        return self.kept / f"{vm_id}.img"

    def kept_base(self, vm_id: VmId) -> Path:
        """The file that says what the changes lie on."""
        return self.kept / f"{vm_id}.json"

    @property
    def vms(self) -> Path:
        """All guests' folders."""
        return self.state_dir / "vms"

    def image_root(self, image_id: ImageId, version: int) -> Path:
        """The root file system of one version of an image."""
        return self.images / str(image_id) / str(version) / "rootfs"

    def home_file(self, user_id: UserId) -> Path:
        """The file with a user's home, where quota does not limit it."""
        return self.homes / f"{user_id}.img"

    def home_writes_blocked(self, user_id: UserId) -> Path:
        """The empty file that marks a home with blocked writes."""
        return self.homes / f"{user_id}.writes-blocked"

    def home(self, user_id: UserId) -> Path:
        """The folder that holds a user's home; the home itself is `home` in it."""
        return self.homes / str(user_id)

    def home_snapshots(self, user_id: UserId) -> Path:
        """The folder with snapshots of a user's home; beside it, so that nodes share both."""
        return self.homes / f"{user_id}.snapshots"

    def guest(self, vm_id: VmId, generation: Generation) -> GuestFolders:
        """The folders of one start of a VM."""
        return GuestFolders(self.vms / str(vm_id) / str(generation))
