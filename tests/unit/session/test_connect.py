"""What a session is given at its beginning; test_desktops.py connects."""

import re

from qvdnode.session.connect import new_slave_key


def test_it_is_what_clients_expect() -> None:
    assert re.fullmatch(r"[A-Za-z0-9]{64}", new_slave_key())


def test_no_two_are_alike() -> None:
    assert len({new_slave_key() for _ in range(100)}) == 100
