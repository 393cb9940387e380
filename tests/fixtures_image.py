"""The roots that tests share, of IceWM and XFCE: built once per recipe, kept between runs.

A pytest plugin. A build takes from 40 s to two minutes, so it happens after collection and only
when a test asks for it; a test's own time limit never pays for it.
"""

import asyncio
import fcntl
import os
import shutil
from pathlib import Path

import pytest

from qvdnode.image import builder, recipes
from qvdnode.image.core.recipe import Recipe
from qvdnode.image.store.repository import About, Repository
from qvdnode.image.store.tree_reader import Source, TreeReader

STATE = Path(os.environ.get("QVDNODE_TEST_STATE", "/var/lib/qvdnode-test"))


def folder(recipe: Recipe | None = None) -> Path:
    """Where the root of a recipe, of IceWM if none is named, is, built or not."""
    wanted = recipe or recipes.icewm()
    return STATE / "images" / f"{wanted.name}-{wanted.digest()}"


def build_if_missing(recipe: Recipe | None = None) -> Path:
    """The root, built now if there is none; two runs at once build it once."""
    wanted = recipe or recipes.icewm()
    root = folder(wanted)
    if root.exists():  # whole: a build moves it there. The lock may be held by that of another.
        return root
    root.parent.mkdir(parents=True, exist_ok=True)
    with (root.parent / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not root.exists():
            asyncio.run(builder.build(wanted, root, _tell))
    return root


def kept_store(root: Path) -> tuple[Repository, str]:
    """A store with a commit of a built root, and the commit's name: made once, as the root is."""
    store = Repository(root.with_name(f".store-{root.name}"))
    store.prepare()
    made = store.places.root / "made"
    with (store.places.root / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not made.exists():
            work = store.work_folder()
            content = TreeReader(store, Source(root, work=work)).read()
            made.write_text(store.publish(content, About("test", 0)))
            shutil.rmtree(work)
    return store, made.read_text()


def _tell(percent: int, sentence: str) -> None:
    print(f"image for tests: {percent} % {sentence}", flush=True)


def pytest_collection_finish(session: pytest.Session) -> None:
    """Build before the first test, if any needs it."""
    if session.config.option.collectonly:
        return
    if any(map(_needs_icewm, session.items)):
        kept_store(build_if_missing())
    if any("xfce_root" in getattr(item, "fixturenames", ()) for item in session.items):
        build_if_missing(recipes.by_name("xfce"))


def _needs_icewm(item: pytest.Item) -> bool:
    # A test that runs on fakes too asks for the root only when it runs on the real thing.
    return "icewm_root" in getattr(item, "fixturenames", ()) or not {"lxc", "docker"}.isdisjoint(
        item.keywords
    )


@pytest.fixture(scope="session")
def icewm_root() -> Path:
    """The root folder of a built IceWM image. Read-only: never write into it."""
    return folder()


@pytest.fixture(scope="session")
def xfce_root() -> Path:
    """The same of XFCE."""
    return folder(recipes.by_name("xfce"))
