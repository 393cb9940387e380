"""Puts together what looks after homes and images in the background, beside starts of desktops."""

from dataclasses import dataclass

from qvdnode.daemon.config import Config
from qvdnode.db.pool import Database
from qvdnode.db.users import Users
from qvdnode.image.home_backup.work import Owner
from qvdnode.image.home_snapshots import HomeSnapshots
from qvdnode.model.ids import UserId
from qvdnode.runtime.clock import Clock
from qvdnode.runtime.supervise import Supervisor


@dataclass(frozen=True, slots=True)
class ImageServices:
    """These services of one node."""

    homes: HomeSnapshots

    def run(self, tasks: Supervisor) -> None:
        """Start them."""
        _ = tasks.essential("home-snapshots", self.homes.run())


def image_services(config: Config, database: Database, clock: Clock) -> ImageServices:
    """All of them; nothing runs yet."""
    users = Users(database)

    async def owner_of(user_id: UserId) -> Owner:
        user = await users.get(user_id)
        return Owner(user.login, user.tenant)

    return ImageServices(homes=HomeSnapshots(config.image, owner_of, clock))
