"""Furnishes a test node through its REST: an image, a flavour, users and their VMs."""

import asyncio
import hashlib
import subprocess
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from tests.fixtures_image import kept_store
from tests.harness.node import NodeProcess
from tests.harness.qvd import QvdConnection
from tests.harness.rest import Rest

PASSWORD: Final = "correct horse"
PIECE: Final = 1 << 20
LOOKED_AT: Final = (
    "bin",
    "lib",
    "lib64",
    "sbin",
    "etc",
    "usr/bin/sh",
    "usr/bin/dash",
    "usr/lib/qvd",
)
FLAVOUR: Final[dict[str, Any]] = {
    "memory_mib": 512,
    "cpu_pct": 200,
    "disk_mib": 512,
    "home_mib": 64,
}


@dataclass(frozen=True)
class Desk:
    """One user with one VM."""

    node: NodeProcess
    login: str
    user_id: int
    vm_id: int

    def dial(self, password: str = PASSWORD, *, at: NodeProcess | None = None) -> QvdConnection:
        """A connection to the client port of its node, or of another, to be used as a context."""
        node = at or self.node
        return QvdConnection(node.client_port, self.login, password, host=node.host)


async def tar_of(folder: Path, *parts: str) -> AsyncIterator[bytes]:
    """A folder, or these parts of it, as GNU tar streams it, owners and capabilities included."""
    process = await asyncio.create_subprocess_exec(
        "tar",
        "--create",
        "--numeric-owner",
        "--xattrs",
        "--xattrs-include=*",
        "--acls",
        "--directory",
        str(folder),
        *(parts or (".",)),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    assert process.stdout is not None
    while piece := await process.stdout.read(PIECE):
        yield piece
    # 1 tells of files that changed meanwhile: other tests make links to them, in `lend_image`.
    if await process.wait() not in {0, 1}:
        raise AssertionError("tar failed")


async def import_image(rest: Rest, name: str, root: Path, *parts: str) -> None:
    """Import a root folder, or these parts of it, as the next version of an image."""
    lines = await rest.call("POST", f"/images/{name}/versions", data=tar_of(root, *parts))
    if '"version"' not in lines[-1]:
        raise AssertionError(f"import failed: {lines[-1]}")


async def lend_image(node: NodeProcess, rest: Rest, name: str, root: Path) -> None:
    """The same for a test that is about something else: what is copied is half a gigabyte less.

    Some parts are imported; the next version is a commit of the whole root, whose files are links
    to a store that is kept between runs.
    """
    await import_image(rest, name, root, *LOOKED_AT)
    images = node.state_dir / "images"
    store, commit = await asyncio.to_thread(kept_store, root)
    for part in ("objects", "manifests", "commits", "erofs"):
        link_tree(store.places.root / part, images / "store" / part)
    await rest.call("PUT", f"/images/{name}/head", {"revision": commit})


def link_tree(source: Path, target: Path) -> None:
    """Put links to all files of a folder, or copies on another disk, into another one."""
    kind = "-alf" if source.stat().st_dev == target.parent.stat().st_dev else "-af"
    subprocess.run(["cp", kind, "-T", str(source), str(target)], check=True)


async def make_flavour(rest: Rest, name: str, image: str, **changes: Any) -> int:
    """A flavour of the default tenant; its id."""
    tenant = (await rest.get("/tenants?name=default"))["items"][0]["id"]
    body = {**FLAVOUR, "tenant_id": tenant, "name": name, "image": image, **changes}
    return int((await rest.post("/flavours", body))["id"])


async def make_desk(
    node: NodeProcess, rest: Rest, login: str, flavour_id: int, tenant_id: int | None = None
) -> Desk:
    """A user with one VM called like the user."""
    if tenant_id is None:
        tenant_id = (await rest.get("/tenants?name=default"))["items"][0]["id"]
    user = await rest.post("/users", {"tenant_id": tenant_id, "login": login, "password": PASSWORD})
    vm = await rest.post("/vms", {"user_id": user["id"], "flavour_id": flavour_id, "name": login})
    return Desk(node, login, int(user["id"]), int(vm["id"]))


async def furnish(node: NodeProcess, image_root: Path, users: int, **changes: Any) -> list[Desk]:
    """Image, flavour with these changes, and `users` desks on an empty node."""
    async with node.rest() as rest:
        await lend_image(node, rest, "icewm", image_root)
        flavour = await make_flavour(rest, "office", "icewm", **changes)
        tag = hashlib.sha256(str(node.state_dir).encode()).hexdigest()[:4]
        return [
            await make_desk(node, rest, f"user{tag}{number}", flavour) for number in range(users)
        ]


async def vm_view(rest: Rest, vm_id: int) -> dict[str, Any]:
    """What REST shows of a VM."""
    view: dict[str, Any] = await rest.get(f"/vms/{quote(str(vm_id))}")
    return view


async def until_vm(rest: Rest, vm_id: int, limit_s: float = 30.0, **wanted: Any) -> dict[str, Any]:
    """Wait until the VM's view has these values; the view."""
    view: dict[str, Any] = {}
    try:
        async with asyncio.timeout(limit_s):
            while True:
                view = await vm_view(rest, vm_id)
                if all(view[key] == value for key, value in wanted.items()):
                    return view
                await asyncio.sleep(0.02)
    except TimeoutError:
        raise AssertionError(f"VM {vm_id} is not {wanted} but {view}") from None
