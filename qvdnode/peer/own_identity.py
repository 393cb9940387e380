"""This node's own membership and the TLS contexts made of it, replaced when they are renewed."""

import ssl

from qvdnode.model.errors import Unavailable
from qvdnode.model.ids import NodeId
from qvdnode.peer.farm_files import FarmFiles, FarmMember


class OwnIdentity:
    """What this node shows other nodes; empty until it has a certificate."""

    def __init__(self, files: FarmFiles) -> None:
        self.files = files
        self._member: FarmMember | None = None
        self._server: ssl.SSLContext | None = None
        self._client: ssl.SSLContext | None = None

    def load(self) -> bool:
        """Read the files again; False while there is no certificate. Raises HostFailed."""
        member, identity = self.files.member(), self.files.identity()
        if member is None or identity is None or identity.node_id != member.node_id:
            return False
        self._server = self.files.server_context(member)
        self._client = self.files.client_context(member)
        self._member = member
        return True

    @property
    def ready(self) -> bool:
        """Whether there is a certificate to show."""
        return self._member is not None

    @property
    def member(self) -> FarmMember:
        """The membership; raises Unavailable while there is none."""
        if self._member is None:
            raise Unavailable("this node has not joined its farm yet: the database is away")
        return self._member

    @property
    def node_id(self) -> NodeId:
        """This node; raises Unavailable as `member`."""
        node_id = self.member.node_id
        if node_id is None:
            raise AssertionError("a certificate has a number")
        return node_id

    def server_context(self) -> ssl.SSLContext:
        """TLS for those who dial; raises Unavailable as `member`."""
        _ = self.member
        if self._server is None:
            raise AssertionError("loaded with the member")
        return self._server

    def client_context(self) -> ssl.SSLContext:
        """TLS for dialling; raises Unavailable as `member`."""
        _ = self.member
        if self._client is None:
            raise AssertionError("loaded with the member")
        return self._client
