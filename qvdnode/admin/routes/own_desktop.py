"""The desktop that a request of the users' page names."""

from typing import Any

from qvdnode.admin.endpoint import ApiCall
from qvdnode.model.ids import VmId
from qvdnode.session.access import Permission


async def own_desktop(call: ApiCall[Any, Any]) -> Permission:
    """Return the user's permission for the desktop of `{id}`; raises NotFound for another's."""
    return await call.parts.desktops.authorise(call.user(), VmId(call.id()))
