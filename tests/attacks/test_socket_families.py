"""Sockets that a guest can make: each family is attack surface, and some pass the packet rules."""

import pytest

from tests.attacks.attacker import Attacker

pytestmark = pytest.mark.lxc


async def test_the_attacker_has_a_guest(attacker: Attacker) -> None:
    program = await attacker.build("sockets")
    made = {
        line.split()[0]
        for line in (await attacker.as_user(program)).splitlines()
        if line.endswith(" 0")
    }
    assert "1" in made
    assert await attacker.as_user("id -u") == "1000"
    assert await attacker.as_root("id -u") == "0"
