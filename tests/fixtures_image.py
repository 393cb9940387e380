"""The IceWM root that tests share: built once per recipe, kept between runs.

A pytest plugin. The build takes about 40 s, so it happens after collection and only when a test
asks for it; a test's own time limit never pays for it.
"""

import asyncio
import fcntl
import os
from pathlib import Path

import pytest

from qvdnode.image import builder, recipes

STATE = Path(os.environ.get("QVDNODE_TEST_STATE", "/var/lib/qvdnode-test"))


def folder() -> Path:
    """Where the root of the present recipe is, built or not."""
    recipe = recipes.icewm()
    return STATE / "images" / f"{recipe.name}-{recipe.digest()}"


def build_if_missing() -> Path:
    """The root, built now if there is none; two runs at once build it once."""
    root = folder()
    root.parent.mkdir(parents=True, exist_ok=True)
    with (root.parent / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not root.exists():
            asyncio.run(builder.build(recipes.icewm(), root, _tell))
    return root


def _tell(percent: int, sentence: str) -> None:
    print(f"image for tests: {percent} % {sentence}", flush=True)


def pytest_collection_finish(session: pytest.Session) -> None:
    """Build before the first test, if any needs it."""
    if session.config.option.collectonly:
        return
    if any(map(_needs_root, session.items)):
        build_if_missing()


def _needs_root(item: pytest.Item) -> bool:
    # A test that runs on fakes too asks for the root only when it runs on the real thing.
    return "icewm_root" in getattr(item, "fixturenames", ()) or "lxc" in item.keywords


@pytest.fixture(scope="session")
def icewm_root() -> Path:
    """The root folder of a built IceWM image. Read-only: never write into it."""
    return folder()
