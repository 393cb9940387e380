"""Puts together what a node needs to bring images to its desktops."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from qvdnode.admin.parts import Catalogue
from qvdnode.cluster.core.placement import Load
from qvdnode.daemon.config import Config
from qvdnode.daemon.image_peers import ImagePeers
from qvdnode.daemon.image_upkeep import ImageUpkeep
from qvdnode.db.flavours import Flavours
from qvdnode.db.image_refs import ImageRefs
from qvdnode.db.images import Images
from qvdnode.db.pool import Database
from qvdnode.db.rollouts import Rollouts
from qvdnode.image.contents import ImageContents
from qvdnode.image.conversion import FolderConversion
from qvdnode.image.fetching import ImageFetcher
from qvdnode.image.importer import Importer
from qvdnode.image.layout import Layout
from qvdnode.model.ids import NodeId
from qvdnode.peer.dialer import Dialer
from qvdnode.peer.directory import Directory
from qvdnode.peer.image_pull import PeerCommits
from qvdnode.peer.limits import LinkLimits
from qvdnode.runtime.clock import Clock


@dataclass(frozen=True, slots=True)
class FarmSide:
    """The rest of the farm, as images need it."""

    dialer: Dialer
    directory: Directory
    here: Callable[[], NodeId | None]
    loads: Callable[[], Sequence[Load]]


@dataclass(frozen=True, slots=True)
class ImageParts:
    """What imports, fetches, and keeps in step."""

    importer: Importer
    fetcher: ImageFetcher
    upkeep: ImageUpkeep


def build_images(
    config: Config,
    database: Database,
    clock: Clock,
    farm: FarmSide,
    reserved_mib: Callable[[], Awaitable[int]],
) -> ImageParts:
    """The parts; `reserved_mib` is what must stay free of the disk for desktops."""
    importer = Importer(config.image, reserved_mib, clock)
    images, versions = Images(database), importer.versions
    fetcher = ImageFetcher(
        config.image,
        versions,
        images,
        PeerCommits(farm.dialer, LinkLimits()),
        ImagePeers(farm.loads, farm.directory, farm.here).holders,
        reserved_mib,
        clock,
    )
    upkeep = ImageUpkeep(
        images,
        ImageRefs(database),
        importer,
        FolderConversion(config.image, versions),
        Layout(config.node.state_dir),
        clock,
    )
    return ImageParts(importer, fetcher, upkeep)


def catalogue(
    database: Database, images: ImageParts, contents: ImageContents, rollouts: Rollouts
) -> Catalogue:
    """Flavours and images, as administrators reach them."""
    return Catalogue(
        Flavours(database),
        Images(database),
        ImageRefs(database),
        images.importer,
        images.fetcher,
        contents,
        rollouts,
    )
