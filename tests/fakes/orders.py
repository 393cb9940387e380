"""Desktops as the database would tell of them."""

from dataclasses import fields
from datetime import UTC, datetime

from qvdnode.model.farm import DesktopOrder, Flavour, FlavourDraft, KeptOverlay, Takeover, User, Vm
from qvdnode.model.ids import FlavourId, Generation, ImageId, NodeId, TenantId, UserId, VmId
from qvdnode.model.transfer import Transfer
from qvdnode.model.vm_state import VmState

CREATED = datetime(2026, 1, 1, tzinfo=UTC)
FLAVOUR = Flavour(
    id=FlavourId(3),
    tenant_id=TenantId(1),
    name="office",
    image_id=ImageId(2),
    image="icewm",
    driver="lxc",
    memory_mib=512,
    cpu_pct=150,
    pids_max=400,
    disk_mib=1024,
    home_mib=2048,
    application=None,
    shell="/bin/bash",
    locale="de_DE.UTF-8",
    timezone="Europe/Berlin",
    egress=True,
    hibernate_after_s=300,
    idle_minutes=0,
    nesting=False,
    takeover=Takeover.NEVER,
    overlay=KeptOverlay.FRESH,
    clipboard=Transfer.BOTH,
    files=Transfer.BOTH,
)


def flavour_draft(
    tenant_id: TenantId, name: str, image_id: ImageId, *, application: str | None = None
) -> FlavourDraft:
    """A flavour to be, as usual but for this."""
    usual = {item.name: getattr(FLAVOUR, item.name) for item in fields(FlavourDraft)}
    named = {"tenant_id": tenant_id, "name": name, "image_id": image_id}
    return FlavourDraft(**{**usual, **named, "application": application})


def desktop_order(
    vm_id: int = 7,
    *,
    login: str = "alice",
    user_id: int = 5,
    name: str = "desk",
    flavour: Flavour = FLAVOUR,
    owner: int | None = None,
) -> DesktopOrder:
    """One VM of one user, stopped."""
    vm = Vm(
        id=VmId(vm_id),
        tenant_id=TenantId(1),
        user_id=UserId(user_id),
        user_login=login,
        flavour_id=flavour.id,
        flavour=flavour.name,
        name=name,
        blocked=False,
        is_application=flavour.application is not None,
        state=VmState.STOPPED,
        generation=Generation(0),
        owner_node=None if owner is None else NodeId(owner),
        error=None,
    )
    user = User(UserId(user_id), TenantId(1), "default", login, blocked=False, created_at=CREATED)
    return DesktopOrder(vm, user, flavour, image_version=4)
