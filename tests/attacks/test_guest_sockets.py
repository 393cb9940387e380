"""What another user of the host reaches of a guest."""

import pytest

from tests.attacks.attacker import Attacker
from tests.harness.stranger import listener, reached

pytestmark = pytest.mark.lxc


async def test_nobody_on_the_host_dials_a_socket_that_a_guest_makes(attacker: Attacker) -> None:
    """It would be a way out of the guest that no packet rule sees."""
    folder = attacker.spec.run_folder
    await attacker.as_root(f"{listener('/run/qvd/door')}; echo secret >/run/qvd/told")
    await attacker.as_root("chmod 777 /run/qvd /run/qvd/*")
    assert (folder / "door").is_socket()
    assert await reached([folder, *folder.iterdir()]) == set()


async def test_other_guests_do_not_either(attacker: Attacker) -> None:
    """Their root is a user of the host, with an id of its own."""
    spec = attacker.spec
    await attacker.as_root(f"{listener('/run/qvd/door')}; chmod 777 /run/qvd /run/qvd/*")
    found = [spec.run_folder, *spec.run_folder.iterdir()]
    stranger = spec.ids.start + spec.ids.count
    assert await reached(found, uid=stranger) == set()
    # The guest itself may: so the test sees what it looks for.
    assert await reached(found, uid=spec.ids.start) == set(map(str, found))


async def test_the_containers_files_are_the_nodes_own(attacker: Attacker) -> None:
    folder = attacker.guests.folder / "lxc"
    assert await reached([folder, *folder.rglob("*")]) == set()


async def test_no_socket_of_the_host_is_in_a_guest(attacker: Attacker) -> None:
    """What it mounts of the host's folders holds none but those it made itself."""
    found = await attacker.as_root("find / -xdev -type s; find /run /tmp /home /dev -type s")
    assert found == ""
