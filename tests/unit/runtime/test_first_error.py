"""Errors in groups of groups, as task groups leave them."""

from qvdnode.model.errors import Conflict, HostFailed
from qvdnode.runtime.first_error import first_farm_error


def test_the_first_of_the_farms_errors_is_found_however_deep() -> None:
    first = HostFailed("no disk")
    inner = BaseExceptionGroup("in", [ValueError("a bug"), first, Conflict("later")])
    assert first_farm_error(BaseExceptionGroup("out", [KeyboardInterrupt(), inner])) is first


def test_bugs_alone_are_nobodys_error() -> None:
    assert first_farm_error(BaseExceptionGroup("out", [ValueError("a bug")])) is None
