"""Which other nodes to ask for an image: those whose load says that they have it come first."""

import random
import secrets
from collections.abc import Callable, Sequence

from qvdnode.cluster.core.placement import Load, image_bit
from qvdnode.model.ids import ImageId, NodeId
from qvdnode.peer.directory import Directory


class ImagePeers:
    """The nodes of the farm, as holders of images."""

    def __init__(
        self,
        loads: Callable[[], Sequence[Load]],
        directory: Directory,
        here: Callable[[], NodeId | None],
    ) -> None:
        self._loads = loads
        self._directory = directory
        self._here = here
        self._rng = random.Random(secrets.randbits(64))

    def holders(self, image_id: ImageId, version: int) -> list[NodeId]:
        """Every other node that serves, the likeliest holders of the version first."""
        bit, here = image_bit(image_id, version), self._here()
        likely = {load.node_id for load in self._loads() if load.may_have(bit)}
        others = [
            peer.address.node_id
            for peer in self._directory.all()
            if peer.serves and peer.address.node_id != here
        ]
        # In any order otherwise, so that not all new nodes ask the same one.
        self._rng.shuffle(others)
        return sorted(others, key=lambda node_id: node_id not in likely)
