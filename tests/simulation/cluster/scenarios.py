"""What happens to a simulated farm, and what must hold then; each is decided by its seed alone."""

import math
from collections.abc import Callable
from functools import partial
from typing import Final

from qvdnode.cluster.core.swim.effects import (
    EpochRaised,
    Event,
    MemberEvent,
    NameConflict,
    UdpUnanswered,
)
from qvdnode.cluster.keyring import Keyring
from qvdnode.wire.swim import Address
from tests.simulation.cluster.farm import Broken, Farm, Host

KEY: Final = b"k" * 32
NEXT_KEY: Final = b"n" * 16
BEGINS_WHOLE_ABOVE: Final = 100


def demand(kept: object, what: str) -> None:
    """Raise Broken unless it is so."""
    if not kept:
        raise Broken(what)


def begin(farm: Farm) -> None:
    """Start everybody and wait for a whole farm; a large one begins whole, to be quick."""
    if len(farm.hosts) > BEGINS_WHOLE_ABOVE:
        farm.start_joined()
    else:
        farm.start_all()
    demand(farm.run_until(farm.whole, settle_s(farm)), "the members do not find each other")


def settle_s(farm: Farm) -> float:
    """Within which all must agree once nothing hinders them."""
    size = len(farm.hosts)
    timing = farm.timing
    suspicion_s = timing.suspicion_s(size, 0)
    return 3 * timing.exchange_s(size) + suspicion_s + 8 * timing.probe_interval_s * math.log2(size)


def heal(farm: Farm) -> None:
    """Take all faults away, and wait until all agree."""
    farm.network.loss = farm.network.duplicates = 0.0
    farm.network.delay_s = (0.0002, 0.002)
    farm.network.blocked = farm.network.udp_blocked = lambda _source, _target: False
    demand(farm.run_until(farm.whole, settle_s(farm)), f"no agreement: {disagreement(farm)}")
    farm.check()


def disagreement(farm: Farm) -> str:
    """Some of what members believe against the truth."""
    own = {host.name: host.swim.own for host in farm.running()}
    wrong = [
        f"{host.name}: {member.record}"
        for host in farm.running()
        for member in host.swim.members
        if member.up != (member.record.name in own)
        or (member.up and member.record != own[member.record.name])
    ]
    return f"{len(wrong)} wrong, such as {wrong[:3]}"


def no_deaths(farm: Farm, *but: str) -> None:
    """Nobody was said to have died, except of these."""
    false = [death for death in farm.deaths() if death[2] not in but]
    demand(not false, f"false deaths: {false[:5]}")


def some(farm: Farm, count: int) -> list[Host]:
    """Different members that run."""
    return farm.rng.sample(farm.running(), count)


def tells(host: Host, kind: type[Event]) -> bool:
    """Whether that member told an event of a kind."""
    return any(isinstance(event, kind) for _, event in host.events)


def loss(farm: Farm) -> None:
    """Up to 30 % of all datagrams are lost, others late or doubled: nobody dies but who is dead."""
    begin(farm)
    farm.network.loss = farm.rng.uniform(0.0, 0.3)
    farm.network.duplicates = farm.rng.uniform(0.0, 0.2)
    farm.network.delay_s = (0.0002, farm.rng.uniform(0.002, 0.15))
    farm.run(60)
    no_deaths(farm)
    (victim,) = some(farm, 1)
    farm.kill(victim)
    heal(farm)
    no_deaths(farm, victim.name)


def one_way(farm: Farm) -> None:
    """One member cannot send to some others, which answer it: it reaches them through the rest."""
    begin(farm)
    deaf, *unreached = some(farm, max(2, len(farm.hosts) // 4))
    names = {host.name for host in unreached}
    farm.network.blocked = lambda source, target: source == deaf.name and target in names
    farm.run(60)
    no_deaths(farm)
    if len(farm.hosts) <= farm.timing.indirect_probes + 2:
        # All others are asked for help, so nobody is even suspected.
        demand(not farm.told(MemberEvent.SUSPECTED), "a member that others reach is suspected")
    heal(farm)


def missing_links(farm: Farm) -> None:
    """A fifth of all pairs have no connection; each member still has one to most others."""
    begin(farm)
    names = sorted(farm.hosts)
    shift = farm.rng.randint(1, len(names) - 1)
    apart = {
        frozenset((name, names[(number + shift) % len(names)]))
        for number, name in enumerate(names)
        if number % 5 == 0
    }
    farm.network.blocked = lambda source, target: frozenset((source, target)) in apart
    farm.run(60)
    no_deaths(farm)
    heal(farm)


def partition(farm: Farm) -> None:
    """Two parts do not hear of each other for a minute or two, and find back."""
    begin(farm)
    size = farm.rng.randint(1, len(farm.hosts) // 2)
    side = {host.name for host in some(farm, size)}
    farm.network.blocked = lambda source, target: (source in side) != (target in side)
    farm.run(farm.rng.uniform(20, 120))
    within = [death for death in farm.deaths() if (death[1] in side) == (death[2] in side)]
    demand(not within, f"false deaths on one side: {within[:5]}")
    heal(farm)


def short_stall(farm: Farm) -> None:
    """Some processes stand still for three seconds, with some loss: nobody dies of it."""
    begin(farm)
    farm.network.loss = farm.rng.choice((0.0, 0.1))
    for _ in range(4):
        for host in some(farm, max(1, len(farm.hosts) // 10)):
            farm.stall(host, 3.0)
        farm.run(15)
    no_deaths(farm)
    heal(farm)


def long_stall(farm: Farm) -> None:
    """One process stands still for long: it alone may be thought dead, and accuses nobody."""
    begin(farm)
    (host,) = some(farm, 1)
    farm.stall(host, farm.rng.uniform(5, 90))
    farm.run(100)
    no_deaths(farm, host.name)
    heal(farm)


def stall_in_suspicion(farm: Farm) -> None:
    """A process stands still while a refutation reaches its sockets: it must read that first."""
    begin(farm)
    sleeper, suspect = some(farm, 2)
    farm.network.blocked = partial(_touches, {suspect.name})
    farm.run(2.5)
    farm.network.blocked = partial(_touches, set())
    farm.stall(sleeper, 25.0)
    farm.run(40)
    no_deaths(farm, sleeper.name)
    heal(farm)


def mass_restart(farm: Farm) -> None:
    """All processes end within a second or two and start anew, before or after it was noticed."""
    begin(farm)
    pause_s = farm.rng.choice((0.1, 1.0, 8.0, 40.0))
    for host in farm.running():
        at_s = farm.rng.uniform(0, 2)
        farm.after(at_s, partial(farm.kill, host))
        farm.after(at_s + pause_s, partial(farm.start, host))
    farm.run(pause_s + 3)
    heal(farm)


def lost_epoch(farm: Farm) -> None:
    """A node starts anew with an epoch from before: it raises it, and is believed again."""
    begin(farm)
    (host,) = some(farm, 1)
    for _ in range(3):
        farm.start(host)  # each time with the next epoch
        farm.run(2)
    farm.kill(host)
    farm.run(farm.rng.choice((0.5, 30.0)))
    farm.start(host, epoch=1)
    heal(farm)
    demand(tells(host, EpochRaised), "the epoch was not raised")


def key_rotation(farm: Farm) -> None:
    """The key is changed while the farm works, each member in its own time: nobody is lost."""
    begin(farm)
    steps: tuple[Callable[[Host], None], ...] = (
        lambda host: _change(host, lambda ring: ring.with_key(NEXT_KEY, first=False)),
        lambda host: _change(host, lambda ring: ring.with_key(NEXT_KEY, first=True)),
        lambda host: _change(host, lambda ring: ring.without_key(KEY)),
    )
    for step in steps:
        for host in farm.running():
            farm.after(farm.rng.uniform(0, 10), partial(step, host))
        farm.run(15)
    no_deaths(farm)
    rings = [host.keyring for host in farm.running()]
    demand(all(ring and ring.keys == (NEXT_KEY,) for ring in rings), "the old key is still there")
    heal(farm)


def _change(host: Host, change: Callable[[Keyring], Keyring]) -> None:
    if host.keyring is not None:
        host.keyring = change(host.keyring)


def udp_blocked(farm: Farm) -> None:
    """A firewall lets a member's TCP pass but no UDP: it is said, and the member stays."""
    begin(farm)
    (host,) = some(farm, 1)
    farm.network.udp_blocked = lambda source, target: host.name in (source, target)
    farm.run(60)
    no_deaths(farm)
    others = [other for other in farm.running() if other is not host]
    demand(any(tells(other, UdpUnanswered) for other in others), "nobody says so")
    heal(farm)


def same_name(farm: Farm) -> None:
    """Another node joins with a name that is taken: it is said, and all follow one of the two."""
    begin(farm)
    (host,) = some(farm, 1)
    rival = farm.add("rival", Address("10.9.9.9", 8446))
    rival.name = host.name
    farm.start(rival, epoch=host.epoch + farm.rng.choice((0, 1)))
    farm.run(60)
    demand(tells(host, NameConflict) or tells(rival, NameConflict), "nobody tells the conflict")
    followed = {
        member.record.address
        for other in farm.running()
        if other not in (host, rival) and (member := other.swim.members.get(host.name))
    }
    demand(len(followed) == 1, f"the farm follows {followed}")
    del farm.hosts["rival"]
    farm.kill(rival if followed == {host.address} else host)
    no_deaths(farm, host.name)


def churn(farm: Farm) -> None:
    """Everything at once, in any order."""
    begin(farm)
    actions = (
        farm.kill,
        farm.leave,
        farm.start,
        lambda host: farm.stall(host, farm.rng.uniform(0.1, 12)),
    )
    for _ in range(12):
        farm.network.loss = farm.rng.choice((0.0, 0.1, 0.4))
        farm.network.duplicates = farm.rng.choice((0.0, 0.2))
        farm.network.delay_s = (0.0002, farm.rng.choice((0.002, 0.4)))
        cut = {host.name for host in some(farm, 1)} if farm.rng.random() < 0.3 else set()
        farm.network.blocked = partial(_touches, cut)
        host = farm.rng.choice(list(farm.hosts.values()))
        if host.running and len(farm.running()) > 2:
            farm.rng.choice(actions)(host)
        elif not host.running:
            farm.start(host)
        farm.run(farm.rng.uniform(0.1, 15))
    farm.run(2)
    heal(farm)


def _touches(cut: set[str], source: str, target: str) -> bool:
    return source in cut or target in cut


SCENARIOS: Final[dict[str, Callable[[Farm], None]]] = {
    scenario.__name__: scenario
    for scenario in (
        loss,
        one_way,
        missing_links,
        partition,
        short_stall,
        long_stall,
        stall_in_suspicion,
        mass_restart,
        lost_epoch,
        key_rotation,
        udp_blocked,
        same_name,
        churn,
    )
}


def play(name: str, size: int, seed: int) -> None:
    """Run one scenario; raises Broken, or whatever the core raised."""
    keys = (KEY,) if name == key_rotation.__name__ else ()
    SCENARIOS[name](Farm(size, seed, keys=keys))


def replay_command(name: str, size: int, seed: int) -> str:
    """What runs exactly this again."""
    return f"python -m tests.swim_simulation --scenario {name} --size {size} --seed {seed}"
