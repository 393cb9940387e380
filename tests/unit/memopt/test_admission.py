from qvdnode.memopt.admission import HostAdmission
from qvdnode.memopt.core.meminfo import HostMemory
from qvdnode.memopt.settings import MemorySettings
from qvdnode.telemetry.metrics import exposition


def test_the_host_is_asked_at_each_start() -> None:
    readings = [HostMemory(4096, 4096, 0), HostMemory(4096, 100, 0)]
    admission = HostAdmission(lambda: readings.pop(0), MemorySettings())
    assert admission.refusal(512, 0) is None
    assert "only 100 MiB are available" in str(admission.refusal(512, 0))


def test_promises_count_and_not_use() -> None:
    admission = HostAdmission(lambda: HostMemory(4096, 4096, 0), MemorySettings())
    assert "0 MiB are not promised" in str(admission.refusal(512, 3072))


def test_the_metrics_follow_host_and_promises() -> None:
    promised = 512
    admission = HostAdmission(lambda: HostMemory(4096, 4096, 0), MemorySettings())
    admission.show(lambda: promised)
    assert b"qvdnode_memory_promised_mib 512.0" in exposition()
    assert b"qvdnode_memory_capacity_mib 3072.0" in exposition()
    promised = 1024
    assert b"qvdnode_memory_promised_mib 1024.0" in exposition()
