"""A guest that computes in many programs at once leaves its neighbour an equal share."""

from dataclasses import replace

import pytest

from qvdnode.host.cgroups import probe
from qvdnode.model.guest import GuestSpec
from tests.fixtures_guest import RealGuests
from tests.waiting import until

HOG_LOOPS = 16
COMPUTES_US = 300_000
"""More than a guest takes to come up."""
MEASURED_US = 4_000_000
LEAST_RATIO = 0.4
"""With one share for each program the neighbour would get a sixteenth."""
BUSY = "for i in $(seq {loops}); do (while :; do :; done) </dev/null >/dev/null 2>&1 & done"


@pytest.mark.alone
async def test_a_hog_takes_no_more_than_its_share_of_the_processors(
    real_guests: RealGuests,
) -> None:
    hog, neighbour = [
        # No limit of its own stops the hog.
        replace(await real_guests.spec(number), cpu_pct=800)
        for number in (1, 2)
    ]
    for spec, loops in ((hog, HOG_LOOPS), (neighbour, 1)):
        await real_guests.driver.launch(spec)
        await real_guests.inside(spec, BUSY.format(loops=loops))
    started_us = used_us(real_guests, neighbour)
    await until(
        lambda: used_us(real_guests, neighbour) > started_us + COMPUTES_US, what="both to compute"
    )
    before = [used_us(real_guests, spec) for spec in (hog, neighbour)]
    await until(
        lambda: used_us(real_guests, hog) > before[0] + MEASURED_US, what="the hog to compute"
    )
    after = [used_us(real_guests, spec) for spec in (hog, neighbour)]
    hogs, neighbours = (now - then for now, then in zip(after, before, strict=True))
    assert neighbours > LEAST_RATIO * hogs, f"{neighbours} us beside {hogs} us"


def used_us(guests: RealGuests, spec: GuestSpec) -> int:
    """Processor time of a guest since its start."""
    return probe().memory(f"{guests.group}/{spec.name}").cpu_us
