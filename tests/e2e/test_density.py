"""A small density run: desktops come, most users leave, their desktops hibernate, some return."""

from pathlib import Path

import pytest

from bench import density_run
from bench.density_found import Wanted

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.alone]
DESKTOPS, STAY, SAMPLE = 12, 3, 4


@pytest.mark.timeout(600)
async def test_every_transition_of_a_small_farm_goes_well(icewm_root: Path, tmp_path: Path) -> None:
    assert icewm_root.exists()
    wanted = Wanted(
        desktops=DESKTOPS, connected=STAY, image="icewm", logins_per_min=600.0, sample=SAMPLE,
        floor_mib=512, limit_s=500.0, typists=2, settle_s=2.0, echo_s=3.0,
    )  # fmt: skip
    found = await density_run.run(wanted, "all", tmp_path / "samples.csv")
    assert found.stopped_because is None
    assert found.errors == []
    assert (len(found.login_s), len(found.thaw_s)) == (DESKTOPS, SAMPLE)
    assert found.echo_few is not None
    assert found.echo_few.lost == 0, "keys were not seen on the client's display"
    assert found.echo_few.seconds
    assert found.hibernate_s is not None, "not all who left were hibernated"
    connected, left, back = (found.marks[phase] for phase in ("connected", "left", "reconnected"))
    assert left.frozen == DESKTOPS - STAY
    assert back.frozen == DESKTOPS - STAY - SAMPLE
    assert left.guests_mib < connected.guests_mib
    assert left.guests_swapped_mib > 0
    assert [mark.oom_kills for mark in (connected, left, back)] == [0, 0, 0]
    assert len((tmp_path / "samples.csv").read_text(encoding="ascii").splitlines()) > SAMPLE
