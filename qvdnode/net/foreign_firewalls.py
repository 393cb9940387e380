"""Finds other firewalls that drop forwarded packets, and adds accept rules for guests."""

from dataclasses import replace

from qvdnode.net.core import foreign_firewalls
from qvdnode.net.core.foreign_firewalls import ForwardChain
from qvdnode.net.nft import MissingRules, Nft


async def droppers(nft: Nft | None = None) -> list[ForwardChain]:
    """The chains that drop forwarded packets unless a rule lets them pass; raises HostFailed.

    Rules of the old iptables-legacy cannot be seen from here.
    """
    return [chain for chain in await _chains(nft or Nft()) if chain.drops]


async def open_for_guests(nft: Nft, prefix: str, bridge: str) -> list[ForwardChain]:
    """Add our accept rules for the guests' bridge to each such chain.

    Returns the chains that were changed; raises HostFailed.
    """
    opened: list[ForwardChain] = []
    for chain in await droppers(nft):
        if commands := foreign_firewalls.opening(chain, prefix, bridge):
            await nft.change(commands)
            opened.append(chain)
    return opened


async def close_for_guests(nft: Nft, prefix: str) -> None:
    """Remove only the rules of `open_for_guests`; safe to repeat."""
    for chain in await _chains(nft):
        if commands := foreign_firewalls.closing(chain, prefix):
            await nft.change(commands)


async def _chains(nft: Nft) -> list[ForwardChain]:
    """Every chain at the forward hook, with its rules."""
    found: list[ForwardChain] = []
    for chain in foreign_firewalls.forward_chains(await nft.listing({"chains": None})):
        try:
            listing = await nft.listing({"chain": chain.reference})
        except MissingRules:
            continue
        found.append(replace(chain, rules=foreign_firewalls.rules(listing)))
    return found
