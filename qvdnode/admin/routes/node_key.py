"""/farm/key: the key by which nodes recognise each other's datagrams, and its change."""

from typing import Any, Final

from qvdnode.admin.endpoint import AnswerModel, AnyEndpoint, ApiCall, Endpoint
from qvdnode.admin.reading import NoBody, NoQuery
from qvdnode.model.errors import Conflict


class KeyView(AnswerModel):
    """How far a change of the key is."""

    step: str
    """`none` when it is not being changed; `added`: nodes take the new key; `used`: they encrypt
    with it, and then the old one goes."""
    waits_for: list[str]
    """Nodes that serve and have not done the step yet. Those that are away do not count: they read
    the keys when they come back."""


async def show_key(call: ApiCall[NoBody, NoQuery]) -> KeyView:
    """Return how far a change of the farm's key is."""
    return await _view(call)


async def rotate_key(call: ApiCall[NoBody, NoQuery]) -> KeyView:
    """Begin to change the farm's key; the nodes go on with it, whoever stops meanwhile."""
    await call.parts.farm.rotate_key()
    call.changed("farm", "key")
    return await _view(call)


async def _view(call: ApiCall[Any, Any]) -> KeyView:
    facts = await call.parts.farm.key_rotation()
    return KeyView(step=facts.step, waits_for=list(facts.waits_for))


ENDPOINTS: Final[tuple[AnyEndpoint, ...]] = (
    Endpoint(
        method="GET",
        path="/farm/key",
        handler=show_key,
        summary="Show how far a change of the farm's key is",
        tag="nodes",
        body=NoBody,
        query=NoQuery,
        answer=KeyView,
    ),
    Endpoint(
        method="POST",
        path="/farm/key",
        handler=rotate_key,
        summary="Change the farm's key",
        tag="nodes",
        body=NoBody,
        query=NoQuery,
        answer=KeyView,
        errors=(Conflict,),
        action="node.rotate-key",
    ),
)
