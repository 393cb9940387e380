"""Creates image, flavour, user and VM on the demo's node through REST; existing ones are reused."""

import asyncio
import shutil
from collections.abc import Callable
from typing import Any, Final

from qvdnode.cli import name_lookup
from qvdnode.cli.api_answers import Refused
from qvdnode.cli.api_client import ApiClient
from qvdnode.cli.build_progress import each_once
from qvdnode.cli.demo.plan import DemoPlan
from qvdnode.cli.demo.report import Report
from qvdnode.cli.image_tar import tar_of
from qvdnode.image import recipes
from qvdnode.image.builder import build
from qvdnode.image.core.recipe_choice import Choice
from qvdnode.model.errors import HostFailed, NotFound

TOLD_EVERY_BYTES: Final = 64 << 20
RESOURCES: Final[dict[str, object]] = {
    "memory_mib": 2048,
    "cpu_pct": 200,
    "disk_mib": 1024,
    "home_mib": 512,
}


async def furnish(
    api: ApiClient, plan: DemoPlan, password: str, report: Report, **flavour_fields: object
) -> int:
    """Create what is missing; return the VM's id. Raises the API's errors and HostFailed."""
    await _require_driver(api, plan.driver)
    await _image(api, plan, report)
    tenant = await name_lookup.tenant_id(api, name_lookup.DEFAULT_TENANT)
    flavour = await _made(
        api,
        "/flavours",
        {"tenant_id": tenant, "name": plan.desk},
        {"image": plan.image, "driver": plan.driver, **RESOURCES, **flavour_fields},
    )
    user = await _user(api, plan.user, tenant, password)
    desk = await _made(api, "/vms", {"user_id": user, "name": plan.desk}, {"flavour_id": flavour})
    report.done("furnish", f"User {plan.user} has desktop {plan.desk} ({desk})")
    return desk


async def _require_driver(api: ApiClient, name: str) -> None:
    """Raises HostFailed before an image is built for desktops that could not start."""
    for driver in (await api.get("/node"))["drivers"]:
        if driver["name"] == name and driver["problem"] is not None:
            raise HostFailed(
                f"The driver {name} does not work: {driver['problem']}. {driver['fix'] or ''}"
            )


async def _image(api: ApiClient, plan: DemoPlan, report: Report) -> None:
    try:
        if (await api.get(f"/images/{plan.image}"))["head_version"] is not None:
            return
    except Refused as refused:
        if refused.problem_code != NotFound.code:
            raise
    if plan.root is not None:
        note = f"imported from {plan.root} by the demo"
        await api.import_image(
            plan.image, tar_of(plan.root), note=note, progress=_each_so_much(report)
        )
        report.done("import", "Image imported")
        return
    root = plan.build_folder / plan.desktop
    await asyncio.to_thread(shutil.rmtree, plan.build_folder, ignore_errors=True)
    try:
        await build(
            recipes.by_name(plan.desktop, Choice(add=plan.additions)), root, each_once(report.doing)
        )
        report.done("image", "Image built")
        note = "built by the demo"
        await api.import_image(plan.image, tar_of(root), note=note, progress=_each_so_much(report))
    finally:
        await asyncio.to_thread(shutil.rmtree, plan.build_folder, ignore_errors=True)
    report.done("import", "Image imported")


async def _user(api: ApiClient, login: str, tenant: int, password: str) -> int:
    found = await api.items("/users", tenant_id=tenant, login=login)
    if found:
        user = int(found[0]["id"])
        await api.call("PUT", f"/users/{user}/password", {"password": password})
        return user
    made = await api.call(
        "POST", "/users", {"tenant_id": tenant, "login": login, "password": password}
    )
    return int(made["id"])


async def _made(api: ApiClient, path: str, key: dict[str, Any], rest: dict[str, object]) -> int:
    found = await api.items(path, **key)
    item = found[0] if found else await api.call("POST", path, {**key, **rest})
    return int(item["id"])


def _each_so_much(report: Report) -> Callable[[int], None]:
    """Return a callback that reports an import's progress once per so many bytes."""
    next_bytes = TOLD_EVERY_BYTES

    def told(size_bytes: int) -> None:
        nonlocal next_bytes
        if size_bytes >= next_bytes:
            next_bytes = size_bytes + TOLD_EVERY_BYTES
            report.doing(f"importing the image, {size_bytes >> 20} MiB so far")

    return told
