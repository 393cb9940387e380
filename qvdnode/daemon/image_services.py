"""Builds the background services for homes and images that run while desktops start."""

from dataclasses import dataclass

from qvdnode.daemon.config import Config
from qvdnode.db.pool import Database
from qvdnode.db.rollouts import Rollouts
from qvdnode.db.users import Users
from qvdnode.db.vms import Vms
from qvdnode.image.home_backup.work import Owner
from qvdnode.image.home_snapshots import HomeSnapshots
from qvdnode.image.kept.cleaning import KeptCleaner
from qvdnode.image.versions import ImageVersions
from qvdnode.model.ids import UserId
from qvdnode.runtime.clock import Clock
from qvdnode.runtime.supervise import Supervisor
from qvdnode.session.ports import DesktopHost
from qvdnode.session.rollouts import RolloutKeeper


@dataclass(frozen=True, slots=True)
class ImageServices:
    """These services of one node."""

    homes: HomeSnapshots
    rollouts: Rollouts
    keeper: RolloutKeeper
    cleaner: KeptCleaner

    def run(self, tasks: Supervisor, guests: DesktopHost) -> None:
        """Start them; `guests` are those of this node."""
        _ = tasks.essential("home-snapshots", self.homes.run())
        _ = tasks.essential("kept-overlays", self.cleaner.run())
        _ = tasks.essential("rollouts", self.keeper.run(guests))


def image_services(
    config: Config, database: Database, clock: Clock, versions: ImageVersions
) -> ImageServices:
    """All of them; nothing runs yet."""
    users = Users(database)

    async def owner_of(user_id: UserId) -> Owner:
        user = await users.get(user_id)
        return Owner(user.login, user.tenant)

    rollouts = Rollouts(database)
    return ImageServices(
        homes=HomeSnapshots(config.image, owner_of, clock),
        rollouts=rollouts,
        keeper=RolloutKeeper(rollouts, clock),
        cleaner=KeptCleaner(versions.kept, Vms(database).existing, clock),
    )
