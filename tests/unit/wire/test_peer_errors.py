import pytest

from qvdnode.model import errors
from qvdnode.model.errors import (
    AcquireUnknown,
    BadConfig,
    FarmError,
    GuestFailed,
    HostFailed,
    Invalid,
    NodeBusy,
    PartGone,
    Throttled,
    Unavailable,
)
from qvdnode.model.ids import Generation
from qvdnode.wire.peer_errors import KINDS, error_of, failure_of
from qvdnode.wire.peer_frames import Failure, decode, encode


def crossed(error: FarmError) -> FarmError:
    failure = decode(encode(failure_of(7, error))[4:])
    assert isinstance(failure, Failure)
    assert failure.id == 7
    return error_of(failure)


def test_every_error_of_the_farm_is_known() -> None:
    codes = {
        kind.code
        for kind in vars(errors).values()
        if isinstance(kind, type) and issubclass(kind, FarmError) and kind is not FarmError
    }
    assert codes == set(KINDS)


@pytest.mark.parametrize(
    "error",
    [
        Invalid("no", field="name"),
        Invalid("no"),
        Throttled("slow down", retry_after_s=3),
        GuestFailed("it did not come up", step="launch"),
        NodeBusy("all slots are taken", waiting=4),
        BadConfig("wrong", key="peer.port"),
        Unavailable("away"),
    ],
)
def test_an_error_arrives_with_its_fields(error: FarmError) -> None:
    arrived = crossed(error)
    assert type(arrived) is type(error)
    assert str(arrived) == str(error)
    assert vars(arrived) == vars(error)


def test_an_error_that_matters_on_its_own_node_alone_becomes_its_parent() -> None:
    assert type(crossed(AcquireUnknown("away", Generation(3)))) is Unavailable
    assert type(crossed(PartGone("no link"))) is HostFailed


def test_an_error_of_a_newer_node_is_unavailable() -> None:
    error = error_of(Failure(1, "too_colourful", "It is too colourful.", {}))
    assert type(error) is Unavailable
    assert str(error) == "It is too colourful."


@pytest.mark.parametrize("fields", [None, 7, {"step": 7}, {}])
def test_fields_that_cannot_be_read_are_empty(fields: object) -> None:
    error = error_of(Failure(1, "guest_failed", "It failed.", fields))
    assert isinstance(error, GuestFailed)
    assert error.step == ""
