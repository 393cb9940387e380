"""Types text in a guest that no key of the client stands behind: input methods, phones, emoji."""

from qvdnode.model.errors import Conflict, GuestFailed, NotFound
from qvdnode.vm.dependencies import FleetDependencies
from qvdnode.vm.display import session_script
from qvdnode.vm.resources import GuestResources
from qvdnode.wire.session_exit import SessionExit


async def type_text(
    dependencies: FleetDependencies, guest: GuestResources | None, text: str
) -> None:
    """Type the text on the display; returns when its last key was pressed.

    Raises NotFound without a guest, Conflict when its image cannot, GuestFailed, HostFailed,
    TimedOut.
    """
    if guest is None or guest.process is None:
        raise NotFound("This desktop does not run, so nothing can be typed in it.")
    dependencies.run_folders.write_typed(guest.order.vm.id, text.encode())
    match await session_script.run(dependencies, guest, "type"):
        case SessionExit.DONE:
            return
        case SessionExit.UNKNOWN_VERB:
            raise Conflict(
                "The image of this desktop is too old for such text; its keys work all the same."
            )
        case SessionExit.NOT_RUNNING:
            raise NotFound("The desktop has no display now, so nothing can be typed in it.")
        case _:
            raise GuestFailed(
                "The text could not be typed in the desktop (see the VM's log).", step="type"
            )
