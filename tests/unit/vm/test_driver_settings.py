from pathlib import Path

import pytest

from qvdnode.vm.core.kvm_argv import Accelerator
from qvdnode.vm.driver_settings import (
    DockerSettings,
    DriversSettings,
    KvmSettings,
    WantedAccelerator,
)


def test_the_engine_is_where_debian_has_it() -> None:
    assert DriversSettings().docker == DockerSettings(Path("/run/docker.sock"), "qvdnode")


def test_what_is_no_socket_or_no_runtime_is_refused() -> None:
    with pytest.raises(ValueError, match="absolute"):
        DockerSettings(socket=Path("docker.sock"))
    for name in ("", "a b", "../runc", "x" * 65, "runc\n"):
        with pytest.raises(ValueError, match="runtime"):
            DockerSettings(runtime=name)


def test_machines_run_with_what_works_unless_the_operator_says_with_what() -> None:
    assert DriversSettings().kvm.fixed_accelerator is None
    assert KvmSettings(WantedAccelerator.TCG).fixed_accelerator is Accelerator.TCG
    assert KvmSettings(WantedAccelerator.KVM).fixed_accelerator is Accelerator.KVM
