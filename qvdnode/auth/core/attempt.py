"""Who tries to log in, as the throttles count them. Pure."""

from dataclasses import dataclass

from qvdnode.model.source_network import SourceNetwork


@dataclass(frozen=True, slots=True)
class Asker:
    """Somebody who tries one account from one source."""

    account: bytes
    """Digest of the account's name, so that long names take no memory."""
    networks: tuple[SourceNetwork, ...]
    """The networks of the source, the narrowest first."""
