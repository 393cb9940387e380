"""Where the memory of a node's host went, as its reporter would tell."""

from qvdnode.memopt.core.credit import Outlook
from qvdnode.memopt.core.figures import MIB, GuestFigures, MergeFigures
from qvdnode.memopt.core.meminfo import HostMemory, Pressure
from qvdnode.memopt.optimiser import Action
from qvdnode.memopt.report import MemoryReport
from qvdnode.memopt.zram import ZramUse
from qvdnode.model.guest import GuestMemory
from qvdnode.model.ids import VmId
from qvdnode.model.vm_state import VmState
from tests.fakes.fleet import SINCE

GUEST = GuestFigures(
    vm_id=VmId(7), name="desk", user="ana", state=VmState.HIBERNATED, viewer=False,
    unused_since=SINCE, grace_s=300, promised_mib=512, up_s=60.0,
    memory=GuestMemory(5 * MIB, 512 * MIB, 4 * MIB, MIB, 80 * MIB, 1_000), cpu_pct=0.0,
)  # fmt: skip
MEMORY = MemoryReport(
    host=HostMemory(16_384, 8_192, 900, swap_total_mib=1_000, cached_mib=700),
    pressure=Pressure(1.5, 0.5), node_mib=150, database_mib=40, zram=ZramUse(80, 25),
    merged=MergeFigures(370, 10.0), merge_pages_per_s=5_000, merge_reason="desktops were started",
    live_reclaimed_mib=40, live_reclaim_reason="only 900 MiB are available",
    outlook=Outlook(200, 96), obstacle=None, guests=(GUEST,),
    actions=(Action(SINCE, VmId(7), "hibernate", "nobody has used it for 400 s"),),
)  # fmt: skip
