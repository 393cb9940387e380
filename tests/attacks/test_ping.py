"""`ping` works without raw sockets, which would let a guest make packets of any kind."""

import errno

import pytest

from tests.attacks.attacker import Attacker

pytestmark = pytest.mark.lxc


@pytest.mark.parametrize("root", [False, True], ids=["user", "root"])
async def test_a_guest_pings_but_has_no_raw_sockets(attacker: Attacker, root: bool) -> None:
    program = await attacker.build("ping")
    shell = attacker.as_root if root else attacker.as_user
    answers = (await shell(f"{program} 127.0.0.1")).splitlines()
    assert answers == ["echo answered", f"raw {errno.EPERM}"]
