import pytest

from qvdnode.model.display_params import DisplayParams
from qvdnode.model.vm_state import VmState
from qvdnode.vm.core.outcomes import Situation


@pytest.mark.parametrize("state", VmState)
@pytest.mark.parametrize("wanted", [True, False])
def test_only_a_guest_that_runs_for_nobody_is_unvisited(state: VmState, *, wanted: bool) -> None:
    situation = Situation(7, state, DisplayParams(), 0.0, wanted)
    assert situation.unvisited is (state is VmState.RUNNING and not wanted)
