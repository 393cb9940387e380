"""The files by which an engine's runtime learns what a guest is: see oci-runtime.sh."""

import json
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Final

from qvdnode.host import merging
from qvdnode.model.errors import HostFailed
from qvdnode.vm.core import lxc_config
from qvdnode.vm.core.oci_config import Json
from qvdnode.vm.drivers.private_files import put, write_private

RUNTIME: Final = "oci-runtime"
MERGING: Final = "merging"
"""A program that runs another whose memory the kernel may merge."""
SECCOMP_PROFILE: Final = "guest.seccomp"


class DockerFiles:
    """One instance's, in a folder of its own that only root enters, as the engine does."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._is_put = False

    @property
    def runtime(self) -> Path:
        """The program that the engine must know as a runtime."""
        return self._folder / RUNTIME

    @cached_property
    def filter_text(self) -> str:
        """The system call filter of guests, without nesting."""
        return Path(lxc_config.__file__).with_name(SECCOMP_PROFILE).read_text(encoding="utf-8")

    def put(self) -> None:
        """Write what all guests share, once per process; raises HostFailed."""
        if self._is_put:
            return
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._folder.chmod(0o700)  # of older versions, others could pass it
        except OSError as error:
            raise HostFailed(f"{self._folder} cannot be made: {error.strerror}") from error
        script = Path(__file__).with_name(f"{RUNTIME}.sh").read_text(encoding="utf-8")
        put(self.runtime, script, mode=0o755)
        merging_program = f'#!/bin/sh\nexec {shlex.join(map(str, merging.argv(())))} "$@"\n'
        put(self._folder / MERGING, merging_program, mode=0o755)
        self._is_put = True

    @contextmanager
    def configured(self, container: str, config: Json, *, merges: bool) -> Iterator[None]:
        """While the container starts, its configuration is where the runtime looks for it.

        Afterwards it is not, so that nobody can start it again from the engine's side. Raises
        HostFailed.
        """
        if merges:
            write_private(self._merges(container), "")
        path = self._folder / f"{container}.json"
        try:
            write_private(path, json.dumps(config))
            yield
        finally:
            path.unlink(missing_ok=True)

    def forget(self, container: str) -> None:
        """Remove what is left of a container."""
        self._merges(container).unlink(missing_ok=True)

    def _merges(self, container: str) -> Path:
        return self._folder / f"{container}.merge"
