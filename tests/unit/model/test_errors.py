"""What each refusal carries besides its sentence."""

import pytest

from qvdnode.model import errors
from qvdnode.model.ids import Generation


def test_what_is_wrong_is_named() -> None:
    assert errors.Invalid("No.", field="id").field == "id"
    assert errors.Invalid("No.").field is None
    assert errors.BadConfig("No.", key="clients.port").key == "clients.port"


def test_when_and_where_it_went_wrong_is_told() -> None:
    assert errors.Throttled("Wait.", retry_after_s=2.5).retry_after_s == 2.5
    assert errors.GuestFailed("Broken.", step="boot").step == "boot"
    assert errors.AcquireUnknown("Away.", Generation(3)).generation == 3


@pytest.mark.parametrize("kind", errors.FarmError.__subclasses__())
def test_each_kind_has_a_code_of_its_own(kind: type[errors.FarmError]) -> None:
    others = [other.code for other in errors.FarmError.__subclasses__() if other is not kind]
    assert kind.code not in others
