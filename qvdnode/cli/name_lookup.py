"""From what a person calls a thing to its number: `7`, `alice@acme`, `icewm@acme`, `alice/desk`.

A word of digits only is a number. Tenants follow the last @; without one it is `default`.
"""

from dataclasses import dataclass
from typing import Any, Final, Protocol

from qvdnode.model.errors import Invalid, NotFound, Unavailable

DEFAULT_TENANT: Final = "default"


class Lists(Protocol):
    """The part of the API that looks things up."""

    async def items(
        self, path: str, *, limit: int | None = None, **query: object
    ) -> list[dict[str, Any]]:
        """The items of a list that match the query."""
        ...


@dataclass(frozen=True, slots=True)
class Qualified:
    """A name within a tenant."""

    name: str
    tenant: str


def split_tenant(text: str) -> Qualified:
    """`alice@acme` as its two parts; the tenant is `default` when none is named."""
    name, at, tenant = text.rpartition("@")
    if not at:
        return Qualified(text, DEFAULT_TENANT)
    if not name or not tenant:
        raise Invalid(f"{text}: write NAME@TENANT.")
    return Qualified(name, tenant)


async def tenant_id(api: Lists, text: str) -> int:
    """The number of a tenant; raises NotFound."""
    if is_number(text):
        return int(text)
    return _only(await api.items("/tenants", name=text), f"tenant {text}")


async def user_id(api: Lists, text: str) -> int:
    """The number of a user; raises NotFound.

    As at a login, `ana@corp.example` may be a login of the default tenant, too.
    """
    if is_number(text):
        return int(text)
    who = split_tenant(text)
    try:
        return await _user_id(api, who)
    except NotFound:
        if who.name == text:
            raise
        try:
            return await _user_id(api, Qualified(text, DEFAULT_TENANT))
        except (NotFound, Invalid):  # not even a login by its form
            pass
        raise


async def _user_id(api: Lists, who: Qualified) -> int:
    tenant = await tenant_id(api, who.tenant)
    found = await api.items("/users", tenant_id=tenant, login=who.name)
    return _only(found, f"user {who.name} in tenant {who.tenant}")


async def flavour_id(api: Lists, text: str) -> int:
    """The number of a flavour; raises NotFound."""
    if is_number(text):
        return int(text)
    what = split_tenant(text)
    tenant = await tenant_id(api, what.tenant)
    found = await api.items("/flavours", tenant_id=tenant, name=what.name)
    return _only(found, f"flavour {what.name} in tenant {what.tenant}")


async def vm_id(api: Lists, text: str) -> int:
    """The number of a VM, by number, NAME or LOGIN[@TENANT]/NAME; raises NotFound, Invalid."""
    if is_number(text):
        return int(text)
    owner, slash, name = text.rpartition("/")
    if not slash:
        return _only(await api.items("/vms", name=name), f"VM {name}")
    return _only(await _vms_of(api, owner, name), f"VM {name} of {owner}")


async def _vms_of(api: Lists, owner: str, name: str) -> list[dict[str, Any]]:
    try:
        return await api.items("/vms", user_id=await user_id(api, owner), name=name)
    except Unavailable:
        # Users are known to the database alone, the VMs that run to their node as well.
        found = await api.items("/vms", name=name)
        if is_number(owner):
            return [vm for vm in found if vm["user_id"] == int(owner)]
        who = split_tenant(owner)
        return [vm for vm in found if (vm["user"], vm["tenant"]) == (who.name, who.tenant)]


async def token_id(api: Lists, text: str) -> int:
    """The number of an API token; raises NotFound."""
    if is_number(text):
        return int(text)
    found = [item for item in await api.items("/tokens") if item["name"] == text]
    return _only(found, f"token {text}")


async def node_id(api: Lists, text: str) -> int:
    """The number of a node; raises NotFound."""
    if is_number(text):
        return int(text)
    found = [item for item in await api.items("/nodes") if item["name"] == text]
    return _only(found, f"node {text}")


def is_number(text: str) -> bool:
    """Whether the text is meant as an id."""
    return text.isascii() and text.isdigit()


def _only(found: list[dict[str, Any]], what: str) -> int:
    if not found:
        raise NotFound(f"There is no {what}.")
    if len(found) > 1:
        numbers = ", ".join(str(item["id"]) for item in found)
        raise Invalid(f"There is more than one {what}: say which by its number ({numbers}).")
    return int(found[0]["id"])
