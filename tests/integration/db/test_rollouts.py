"""Rollouts in the database: what starts, what is counted, and who makes them go on."""

from dataclasses import dataclass

import pytest

from qvdnode.db.images import Images
from qvdnode.db.nodes import NodeMembership, Nodes
from qvdnode.db.ownership import Ownership
from qvdnode.db.pool import Database
from qvdnode.db.rollouts import Rollouts
from qvdnode.db.users import Users
from qvdnode.db.vms import Vms
from qvdnode.model.errors import Conflict, Invalid, NotFound
from qvdnode.model.ids import Generation, ImageId, VmId
from qvdnode.model.rollout import Evidence, Expiry, Gate, RolloutEvent, RolloutState, Stage
from qvdnode.model.vm_state import VmState
from tests.integration.db.sample import make_sample

STAGES = (Stage("tag:pilot", 60), Stage("100%", 600))
STATE_OF = "SELECT state, stage FROM image_rollout ORDER BY id DESC LIMIT 1"


@dataclass
class World:
    """An image of two versions with the first as head, and two VMs on one node."""

    database: Database
    rollouts: Rollouts
    image_id: ImageId
    pilot: VmId
    other: VmId
    node: NodeMembership

    async def begin(self, gate: Gate | None = None, to: int = 2) -> None:
        gate = gate or Gate()
        await self.rollouts.begin(self.image_id, to, STAGES, gate, Expiry(60, 600), "ana")

    async def version(self, vm_id: VmId) -> int:
        return (await Vms(self.database).order(vm_id)).image_version

    async def acquire(self, vm_id: VmId) -> Generation:
        generation = await Ownership(self.database, self.node).acquire(vm_id)
        version = await self.version(vm_id)
        await self.rollouts.note_start(vm_id, generation, self.image_id, version)
        return generation

    async def start(self, vm_id: VmId, error: str | None = None) -> Generation:
        """A start that fails, or becomes ready."""
        rows, generation = Ownership(self.database, self.node), await self.acquire(vm_id)
        if error is None:
            await rows.record(vm_id, generation, VmState.RUNNING)
        else:
            await rows.release(vm_id, generation, VmState.FAILED, error=error)
        return generation

    async def pass_time(self, seconds: float) -> None:
        await self.database.execute(
            "UPDATE image_rollout SET moved_at = moved_at - make_interval(secs => $1),"
            " counted_from = counted_from - make_interval(secs => $1)",
            seconds,
        )

    async def state(self) -> tuple[str, int]:
        await self.rollouts.go_on()
        row = await self.database.fetchrow(STATE_OF)
        assert row is not None
        return row["state"], row["stage"]


@pytest.fixture
async def world(database: Database) -> World:
    sample = await make_sample(database)
    images = Images(database)
    for _ in range(2):
        await images.add_version(sample.image.id, size_bytes=1)
    await images.set_head(sample.image.id, 1)
    bob = await Users(database).create(sample.tenant.id, "bob", "hash")
    other = await Vms(database).create(bob.id, sample.flavour.id, "desk")
    node = await Nodes(database).join("one", "boot", "10.0.0.1")
    rollouts = Rollouts(database)
    await rollouts.set_tags(sample.vm.id, ["pilot", "pilot"])
    return World(database, rollouts, sample.image.id, sample.vm.id, other.id, node)


async def test_stages_move_desktops_until_the_version_is_the_head(world: World) -> None:
    await world.begin()
    assert (await world.version(world.pilot), await world.version(world.other)) == (2, 1)
    await world.pass_time(61)
    assert await world.state() == ("running", 0)  # nobody has started with it
    await world.start(world.pilot)
    assert await world.state() == ("running", 1)
    assert await world.version(world.other) == 2
    assert (await Images(world.database).get(world.image_id)).head_version == 1
    await world.pass_time(601)
    assert await world.state() == ("done", 1)
    assert (await Images(world.database).get(world.image_id)).head_version == 2
    assert await world.version(world.other) == 2


async def test_failed_starts_move_everybody_back_for_good(world: World) -> None:
    await world.begin()
    await world.start(world.pilot, error="no display")
    assert await world.state() == ("rolled_back", 0)
    kept = await world.rollouts.latest(world.image_id)
    assert kept.reason == "1 of 1 starts failed"
    assert await world.version(world.pilot) == 1
    # An import does not become the head, and nothing begins by itself.
    images = Images(world.database)
    third = await images.add_version(world.image_id, size_bytes=1)
    assert not await images.set_imported_head(world.image_id, third)
    with pytest.raises(Conflict, match="to version 2, which is rolled back: abort it first"):
        await world.begin(to=third)
    await world.pass_time(10_000)
    assert await world.state() == ("rolled_back", 0)
    # Only a person lets it go on; the old failures do not count again.
    await world.rollouts.change(world.image_id, RolloutEvent.RESUME, "the driver was mended")
    assert await world.state() == ("running", 0)
    await world.rollouts.change(world.image_id, RolloutEvent.ABORT, "not today")
    assert await images.set_imported_head(world.image_id, third)
    with pytest.raises(Conflict, match="is aborted: it cannot pause"):
        await world.rollouts.change(world.image_id, RolloutEvent.PAUSE, "x")


async def test_starts_and_crashes_are_counted_by_version(world: World) -> None:
    await world.start(world.other)  # with the old version
    await world.begin(Gate(crashes_max_pct=60))
    rows = Ownership(world.database, world.node)
    generation = await world.start(world.pilot)
    await rows.release(world.pilot, generation, VmState.FAILED, error="the session crashed")
    generation = await world.start(world.pilot)
    await rows.release(world.pilot, generation, VmState.STOPPED)
    await world.acquire(world.pilot)
    kept = await world.rollouts.latest(world.image_id)
    found = await world.rollouts.evidence(kept.rollout.id)
    assert found.ready_p95_s is not None
    assert 0 <= found.ready_p95_s < 60
    assert found == Evidence(3, 2, 0, 1, found.ready_p95_s)
    places = {place.member.vm_id: place for place in await world.rollouts.places(world.image_id)}
    assert (places[world.pilot].version, places[world.other].version) == (2, 1)
    assert places[world.pilot].node == "one"
    assert places[world.pilot].member.tags == {"pilot"}
    assert places[world.other].member.user == "bob@default"


async def test_a_paused_rollout_stays_where_it_is_but_is_watched(world: World) -> None:
    await world.begin()
    await world.start(world.pilot)
    await world.rollouts.change(world.image_id, RolloutEvent.PAUSE, "holidays")
    await world.pass_time(1_000)
    assert await world.state() == ("paused", 0)
    assert await world.version(world.pilot) == 2
    generation = Generation(1)
    failing = Ownership(world.database, world.node)
    await failing.release(world.pilot, generation, VmState.FAILED, error="the session crashed")
    assert await world.state() == ("rolled_back", 0)


async def test_two_nodes_take_a_step_once(world: World) -> None:
    await world.begin()
    await world.start(world.pilot)
    await world.pass_time(61)
    async with world.database.transaction() as tx:
        await tx.fetchrow("SELECT 1 FROM image_rollout FOR UPDATE")
        assert await world.rollouts.go_on() == []
    [moved] = await world.rollouts.go_on()
    assert (moved.rollout.state, moved.rollout.stage) == (RolloutState.RUNNING, 1)
    assert await world.rollouts.go_on() == []


async def test_what_makes_no_rollout_is_refused(world: World) -> None:
    with pytest.raises(NotFound, match="no rollout"):
        await world.rollouts.latest(world.image_id)
    for version in (1, 9):
        with pytest.raises(
            Conflict, match=f"Version {version} is the head already, or there is no"
        ):
            await world.begin(to=version)
    with pytest.raises(Invalid, match="must be 100%"):
        await world.rollouts.begin(world.image_id, 2, STAGES[:1], Gate(), Expiry(), "ana")
    with pytest.raises(NotFound):
        await world.rollouts.set_tags(VmId(99), ["x"])


async def test_staleness_lasts_until_it_is_taken_back(world: World) -> None:
    generation = await world.start(world.pilot)
    assert await world.rollouts.mark_stale(world.pilot, generation) < 60
    await world.database.execute("UPDATE vm_start SET stale_at = stale_at - interval '1 hour'")
    assert await world.rollouts.mark_stale(world.pilot, generation) >= 3_600
    await world.rollouts.mark_fresh(world.pilot, generation)
    assert await world.rollouts.mark_stale(world.pilot, generation) < 60
    assert await world.rollouts.mark_stale(VmId(99), generation) == 0


async def test_old_starts_are_forgotten(world: World) -> None:
    await world.start(world.pilot, error="x")
    await world.rollouts.forget_old()
    assert await world.database.fetchval("SELECT count(*) FROM vm_start") == 1
    await world.database.execute("UPDATE vm_start SET begun_at = begun_at - interval '61 days'")
    await world.rollouts.forget_old()
    assert await world.database.fetchval("SELECT count(*) FROM vm_start") == 0
