from qvdnode.memopt.admission import HostAdmission
from qvdnode.memopt.core.credit import Outlook
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


def test_what_is_measured_to_be_saved_is_promised_again_but_the_floor_holds() -> None:
    outlook = Outlook(credit_mib=512)
    admission = HostAdmission(lambda: HostMemory(4096, 4096, 0), MemorySettings())
    assert admission.refusal(512, 3072) is not None
    admission.count(lambda: outlook)
    assert admission.refusal(512, 3072) is None
    outlook = Outlook(credit_mib=10_000, growth_mib=3900)
    assert "only 196 MiB are available" in str(admission.refusal(512, 3072))


def test_placement_may_count_on_what_is_saved() -> None:
    admission = HostAdmission(lambda: HostMemory(4096, 4096, 0), MemorySettings())
    assert (admission.reserve_mib, admission.promisable_mib()) == (1024, 3072)
    admission.count(lambda: Outlook(credit_mib=500))
    assert admission.promisable_mib() == 3572
