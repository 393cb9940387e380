from qvdnode.model.errors import Conflict, TimedOut
from qvdnode.vm.core.clients import Clients
from qvdnode.vm.core.effects import Answer, DropClient, Evict, Refuse, SeatClient, Tell

ERROR = TimedOut("too late")


def seated(client: int = 1) -> Clients:
    clients = Clients()
    clients.apply(client)
    clients.seat("Connecting")
    return clients


def test_the_client_that_waits_gets_the_seat() -> None:
    clients = Clients()
    assert clients.apply(1) == []
    assert clients.seat("Connecting") == [Tell(1, "Connecting"), SeatClient(1)]
    assert (clients.waiting, clients.seated) == (None, 1)
    assert clients.seat("Connecting") == []


def test_a_newer_client_replaces_the_one_that_waits() -> None:
    clients = Clients()
    clients.apply(1)
    [refused] = clients.apply(2)
    assert isinstance(refused, Refuse)
    assert refused.request == 1
    assert isinstance(refused.error, Conflict)
    assert clients.waiting == 2


def test_a_client_that_withdraws_loses_its_place_or_its_seat() -> None:
    clients = seated(1)
    clients.apply(2)
    assert clients.withdraw(2) == [DropClient(2)]
    assert (clients.waiting, clients.seated) == (None, 1)
    assert clients.withdraw(1) == [DropClient(1)]
    assert clients.seated is None


def test_a_client_that_withdraws_is_not_refused_any_more() -> None:
    clients = Clients(waiting=1, starters=[2])
    clients.refuse(ERROR)
    clients.withdraw(1)
    assert clients.send_deferred() == [Refuse(2, ERROR)]


def test_only_the_attached_client_leaves() -> None:
    clients = seated(2)
    assert clients.leave(1) == []
    assert clients.leave(2) == [DropClient(2)]
    assert clients.leave(2) == []


def test_the_attached_client_is_evicted_once() -> None:
    clients = seated(1)
    assert clients.evict("because") == [Evict(1, "because")]
    assert clients.evict("because") == []


def test_everybody_who_waits_is_told() -> None:
    clients = Clients(waiting=1, starters=[2, 3])
    assert clients.tell("soon") == [Tell(1, "soon"), Tell(2, "soon"), Tell(3, "soon")]
    assert Clients().tell("soon") == []


def test_refusals_are_sent_later() -> None:
    clients = Clients(waiting=1, starters=[2], stoppers=[3])
    assert clients.refuse(ERROR)
    assert (clients.waiting, clients.starters) == (None, [])
    assert clients.send_deferred() == [Refuse(1, ERROR), Refuse(2, ERROR)]
    assert clients.send_deferred() == []
    assert not clients.refuse(ERROR)


def test_starts_and_stops_are_answered() -> None:
    clients = Clients(starters=[1, 2], stoppers=[3])
    assert clients.answer_starters() == [Answer(1), Answer(2)]
    assert clients.answer_stoppers() == [Answer(3)]
    assert clients.idle


def test_an_attached_client_alone_waits_for_nothing() -> None:
    assert seated(1).idle
    assert not Clients(waiting=1).idle
    assert not Clients(starters=[1]).idle
    assert not Clients(stoppers=[1]).idle
    assert not Clients(deferred=[Refuse(1, ERROR)]).idle
