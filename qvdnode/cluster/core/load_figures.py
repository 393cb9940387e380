"""The load of a node as placement reads it, and as it travels. Pure."""

from qvdnode.cluster.core.placement import Load
from qvdnode.model.ids import NodeId
from qvdnode.wire.load_record import DRAINING, DRIVER_BITS, NO_DATABASE, LoadRecord


def to_record(load: Load) -> LoadRecord:
    """The record of a node's load; what orders it and tells its age is 0."""
    flags = sum(bit for name, bit in DRIVER_BITS.items() if name in load.drivers)
    return LoadRecord(
        node=load.node_id,
        epoch=0,
        counter=0,
        age_tenths=0,
        capacity_mib=load.capacity_mib,
        promised_mib=load.promised_mib,
        guests=load.guests,
        guests_max=load.guests_max,
        starts_waiting=load.starts_waiting,
        starts_waiting_max=load.starts_waiting_max,
        start_tokens=load.start_tokens,
        start_tokens_free=load.start_tokens_free,
        cores=load.cores,
        run_queue_tenths=round(load.run_queue * 10),
        cpu_some_pct=round(load.cpu_some_pct),
        memory_full_pct=round(load.memory_full_pct),
        io_some_pct=round(load.io_some_pct),
        loop_lag_hundredths=round(load.loop_lag_s * 100),
        flags=flags | (DRAINING if load.draining else 0) | (0 if load.database else NO_DATABASE),
        images=load.images,
    )


def to_load(record: LoadRecord, *, age_s: float, suspect: bool) -> Load:
    """What placement reads of a record; `suspect` is the membership's belief about the node."""
    return Load(
        node_id=NodeId(record.node),
        capacity_mib=record.capacity_mib,
        promised_mib=record.promised_mib,
        guests=record.guests,
        guests_max=record.guests_max,
        starts_waiting=record.starts_waiting,
        starts_waiting_max=record.starts_waiting_max,
        start_tokens=record.start_tokens,
        start_tokens_free=record.start_tokens_free,
        cores=record.cores,
        run_queue=record.run_queue_tenths / 10,
        cpu_some_pct=record.cpu_some_pct,
        memory_full_pct=record.memory_full_pct,
        io_some_pct=record.io_some_pct,
        loop_lag_s=record.loop_lag_hundredths / 100,
        drivers=frozenset(name for name, bit in DRIVER_BITS.items() if record.flags & bit),
        draining=bool(record.flags & DRAINING),
        database=not record.flags & NO_DATABASE,
        suspect=suspect,
        images=record.images,
        age_s=age_s,
    )
