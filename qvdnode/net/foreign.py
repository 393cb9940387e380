"""Other firewalls of the host that drop what it forwards: found, and opened where we may."""

# tested-by: tests/integration/net/test_bridge.py

from qvdnode.net.core import foreign
from qvdnode.net.core.expressions import Json
from qvdnode.net.core.foreign import Dropper
from qvdnode.net.nft import MissingRules, Nft


async def droppers(nft: Nft | None = None) -> list[Dropper]:
    """The chains that drop forwarded packets by policy; raises HostFailed.

    Rules of the old iptables-legacy cannot be seen from here.
    """
    return foreign.droppers(await (nft or Nft()).listing({"chains": None}))


async def open_for_guests(nft: Nft, prefix: str, bridge: str) -> list[Dropper]:
    """Put rules for the guests' bridge into each such chain; names the chains."""
    found = await droppers(nft)
    commands = await _closing(nft, prefix)
    for dropper in found:
        commands += foreign.opening(dropper, prefix, bridge)
    if commands:
        await nft.change(commands)
    return found


async def close_for_guests(nft: Nft, prefix: str) -> None:
    """Take the rules of `open_for_guests` away, and no others; safe to repeat."""
    commands = await _closing(nft, prefix)
    if commands:
        await nft.change(commands)


async def _closing(nft: Nft, prefix: str) -> list[Json]:
    commands: list[Json] = []
    for place in foreign.forward_chains(await nft.listing({"chains": None})):
        try:
            listing = await nft.listing({"chain": place})
        except MissingRules:
            continue
        commands += foreign.closing(listing, prefix)
    return commands
