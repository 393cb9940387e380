"""POST /vms/{id}/assistance: asks the user of a desktop whether a helper may see it, or help."""

from typing import Final

from pydantic import Field

from qvdnode.admin.endpoint import AnswerModel, AnyEndpoint, ApiCall, Endpoint
from qvdnode.admin.reading import NoQuery, RequestBody
from qvdnode.db.audit import AuditEntry
from qvdnode.model.errors import Conflict, Forbidden
from qvdnode.model.ids import VmId


class AssistanceDraft(RequestBody):
    """What the helper wants."""

    helps: bool = Field(
        default=False, description="Whether to use keyboard and pointer, too, and not see alone."
    )


class AssistanceView(AnswerModel):
    """The user is being asked. The helper's page opens a WebSocket with the key."""

    key: str
    vm_id: int


async def ask_to_assist(call: ApiCall[AssistanceDraft, NoQuery]) -> AssistanceView:
    """Ask the user; raises Forbidden where the tenant has it off, Conflict without a browser."""
    parts, operator, helps = call.parts, call.administrator(), call.body.helps
    vm = await parts.vms.get(VmId(call.id()))
    if not (await parts.accounts.tenants.get(vm.tenant_id)).assistance:
        raise Forbidden("Nobody may look over the shoulder of this tenant's users.")

    async def note(action: str) -> None:
        entry = AuditEntry(
            actor=operator.name,
            action=action,
            object_kind="vm",
            object_id=str(vm.id),
            detail={"user": vm.user_login, "helps": helps},
            correlation="",
        )
        await parts.records.trail.write([entry])

    asked = parts.desks.ask_user(vm.id, operator.token_id, operator.name, helps=helps, note=note)
    call.changed("vm", vm.id, user=vm.user_login, helps=helps)
    return AssistanceView(key=asked.key, vm_id=vm.id)


PAGE_ENDPOINTS: Final[tuple[AnyEndpoint, ...]] = (
    Endpoint(
        method="POST",
        path="/vms/{id}/assistance",
        handler=ask_to_assist,
        summary="Ask the user of a desktop whether a helper may see it",
        tag="vms",
        body=AssistanceDraft,
        query=NoQuery,
        answer=AssistanceView,
        status=201,
        errors=(Conflict, Forbidden),
        action="assistance.ask",
    ),
)
"""Only the administration page uses it, which shows what the user shares."""
