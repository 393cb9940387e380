"""The whole configuration of a node: one settings class per section, composed once.

A feature gets its own section and never sees the whole.
"""

from dataclasses import dataclass, field
from typing import Final

from qvdnode.admin.settings import AdminSettings
from qvdnode.auth.settings import AuthSettings
from qvdnode.broker.settings import BrokerSettings
from qvdnode.cluster.settings import ClusterSettings, GossipSettings
from qvdnode.daemon.settings import LogSettings, NodeSettings, TlsSettings
from qvdnode.db.settings import DatabaseSettings
from qvdnode.desk.settings import BrowserSettings
from qvdnode.image.settings import ImageSettings
from qvdnode.memopt.settings import MemorySettings
from qvdnode.net.settings import NetSettings
from qvdnode.peer.settings import PeerSettings
from qvdnode.vm.driver_settings import DriversSettings
from qvdnode.vm.instance import Instance
from qvdnode.vm.settings import VmSettings
from qvdnode.web.settings import WebSettings

DERIVED: Final = frozenset({"state_dir", "prefix"})
"""Fields of other sections that are taken from `[node]` and cannot be set on their own."""


GUEST_NAME: Final = "qvd"
"""What the names of guests begin with, after the instance's prefix."""


@dataclass(frozen=True, slots=True)
class Config:
    """Every section; each has defaults that serve."""

    node: NodeSettings = field(default_factory=NodeSettings)
    clients: BrokerSettings = field(default_factory=BrokerSettings)
    admin: AdminSettings = field(default_factory=AdminSettings)
    web: WebSettings = field(default_factory=WebSettings)
    peer: PeerSettings = field(default_factory=PeerSettings)
    browser: BrowserSettings = field(default_factory=BrowserSettings)
    tls: TlsSettings = field(default_factory=TlsSettings)
    database: DatabaseSettings = field(default_factory=DatabaseSettings)
    auth: AuthSettings = field(default_factory=AuthSettings)
    vm: VmSettings = field(default_factory=VmSettings)
    drivers: DriversSettings = field(default_factory=DriversSettings)
    image: ImageSettings = field(default_factory=ImageSettings)
    network: NetSettings = field(default_factory=NetSettings)
    memory: MemorySettings = field(default_factory=MemorySettings)
    cluster: ClusterSettings = field(default_factory=ClusterSettings)
    gossip: GossipSettings = field(default_factory=GossipSettings)
    log: LogSettings = field(default_factory=LogSettings)

    def instance(
        self, nameservers: tuple[str, ...] = (), search_domains: tuple[str, ...] = ()
    ) -> Instance:
        """What this node's guests have in common."""
        prefix = self.node.prefix + GUEST_NAME
        return Instance(self.node.state_dir, prefix, nameservers, search_domains)
