"""A ticket opens one desktop of its user once, and soon."""

import pytest

from qvdnode.desk.core.tickets import LIFE_S, PER_USER_MAX, Tickets
from qvdnode.model.errors import Forbidden, Throttled

ANA, BEN = 1, 2


def test_a_ticket_is_good_once() -> None:
    tickets = Tickets[str]()
    tickets.add("key", ANA, "desktop", 0.0)
    assert tickets.take("key", ANA, 1.0) == "desktop"
    with pytest.raises(Forbidden):
        tickets.take("key", ANA, 1.0)


def test_a_stolen_ticket_is_void_for_the_thief_and_for_its_owner() -> None:
    tickets = Tickets[str]()
    tickets.add("key", ANA, "desktop", 0.0)
    for user in (BEN, ANA):
        with pytest.raises(Forbidden):
            tickets.take("key", user, 1.0)


def test_a_ticket_expires() -> None:
    tickets = Tickets[str]()
    tickets.add("old", ANA, "desktop", 0.0)
    tickets.add("new", ANA, "desktop", 1.0)
    with pytest.raises(Forbidden):
        tickets.take("old", ANA, LIFE_S)
    assert tickets.take("new", ANA, LIFE_S) == "desktop"


def test_a_key_that_was_never_given_is_refused() -> None:
    with pytest.raises(Forbidden):
        Tickets[str]().take("\ud800", ANA, 0.0)


def test_a_user_has_a_limited_number_until_they_expire() -> None:
    tickets = Tickets[str]()
    for number in range(PER_USER_MAX):
        tickets.add(str(number), ANA, "desktop", 0.0)
    with pytest.raises(Throttled):
        tickets.add("more", ANA, "desktop", 0.0)
    tickets.add("more", BEN, "desktop", 0.0)
    tickets.add("later", ANA, "desktop", LIFE_S)
    assert len(tickets) == 1
