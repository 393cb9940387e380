"""The runtime that stands before runc, with a program in runc's place that tells how it was run."""

import json
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from qvdnode.vm.drivers import docker_files
from qvdnode.vm.drivers.docker_files import MERGING, RUNTIME, DockerFiles

ID = "0123456789abcdef" * 4
CONFIG = {"ociVersion": "1.0.2"}


@dataclass(frozen=True)
class Runtime:
    """The script in a folder of its own, and a bundle as an engine makes it."""

    files: DockerFiles
    folder: Path
    bundle: Path
    log: Path

    def run(self, *words: str) -> "subprocess.CompletedProcess[str]":
        """Run it as an engine does; what it prints are runc's words."""
        return subprocess.run(
            [self.files.runtime, "--root", "/run/x", "--log", self.log, "--systemd-cgroup", *words],
            env={"PATH": f"{self.folder.parent / 'bin'}:/usr/bin:/bin"},
            capture_output=True, text=True, check=False, timeout=20,
        )  # fmt: skip

    def create(self, container: str = ID) -> "subprocess.CompletedProcess[str]":
        """Ask it to create a container."""
        return self.run("create", "--bundle", str(self.bundle), "--pid-file", "/p", container)

    @property
    def config(self) -> object:
        """What runc would find in the bundle."""
        return json.loads((self.bundle / "config.json").read_text())


@pytest.fixture
def runtime(tmp_path: Path) -> Runtime:
    programs, bundle = tmp_path / "bin", tmp_path / "bundle"
    programs.mkdir()
    bundle.mkdir()
    (bundle / "config.json").write_text('"of the engine"')
    runc = programs / "runc"
    runc.write_text(
        '#!/bin/sh\necho "$(ulimit -Hn) $(prlimit --core --noheadings --output HARD) $*"\n'
    )
    runc.chmod(0o755)
    files = DockerFiles(tmp_path / "docker")
    files.put()
    return Runtime(files, tmp_path / "docker", bundle, tmp_path / "log.json")


def words_of(done: "subprocess.CompletedProcess[str]") -> Sequence[str]:
    """Runc's own words, without the limits that it was started with."""
    assert done.returncode == 0, done.stderr
    files, core, *words = done.stdout.split()
    assert int(files) <= 524_288
    assert core == "1"
    return words


def test_runc_gets_the_configuration_of_the_node_and_not_the_engines(runtime: Runtime) -> None:
    with runtime.files.configured(ID, CONFIG, merges=False):
        words = words_of(runtime.create())
    assert runtime.config == CONFIG
    assert words[-1] == ID
    assert "--systemd-cgroup" not in words
    assert words[:4] == ["--root", "/run/x", "--log", str(runtime.log)]


@pytest.mark.parametrize("container", [ID, "others", f"../{ID}", "none", ""])
def test_what_the_node_has_not_configured_is_refused(runtime: Runtime, container: str) -> None:
    with runtime.files.configured(ID, CONFIG, merges=False):
        pass
    done = runtime.create(container)
    assert done.returncode == 1
    assert done.stdout == ""
    assert json.loads(runtime.log.read_text())["level"] == "error"
    assert runtime.config == "of the engine"


def test_other_orders_go_to_runc_as_they_are(runtime: Runtime) -> None:
    for order in (
        ["start", ID],
        ["kill", "--all", ID, "9"],
        ["exec", "--detach", ID],
        ["features"],
    ):
        assert words_of(runtime.run(*order))[4:] == order


def test_memory_is_merged_from_the_start_and_in_what_the_engine_starts_later(
    runtime: Runtime,
) -> None:
    marked = '#!/bin/sh\necho marked >>"${0%/*}/marks"\nexec "$@"\n'
    (runtime.folder / MERGING).write_text(marked)
    with runtime.files.configured(ID, CONFIG, merges=True):
        words_of(runtime.create())
    words_of(runtime.run("exec", ID))
    assert (runtime.folder / "marks").read_text() == "marked\n" * 2
    runtime.files.forget(ID)
    words_of(runtime.run("delete", ID))
    assert (runtime.folder / "marks").read_text() == "marked\n" * 2


def test_nothing_stays_of_a_container_that_was_forgotten(runtime: Runtime) -> None:
    with runtime.files.configured(ID, CONFIG, merges=True):
        pass
    runtime.files.forget(ID)
    runtime.files.forget(ID)
    assert {path.name for path in runtime.folder.iterdir()} == {RUNTIME, MERGING}


def test_the_script_is_part_of_what_is_installed() -> None:
    assert Path(docker_files.__file__).with_name(f"{RUNTIME}.sh").is_file()
    assert shutil.which("prlimit") is not None
