"""What is kept of a start once its guest is gone: why it ended, and its logs. Pure: JSON."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Final

from qvdnode.model.errors import Invalid
from qvdnode.model.ids import Generation, VmId
from qvdnode.vm.core.guest_limits import GuestLimit, LimitReached

VERSION: Final = 1
LAST_LINES: Final = 5


@dataclass(frozen=True, slots=True)
class StartRecord:
    """One start of one VM, over."""

    vm_id: VmId
    generation: Generation
    ended_at: datetime
    reason: str
    """Why it ended, for a person."""
    failed: bool
    """Whether that end was not requested."""
    log: str
    """The ends of the guest's logs. The guest wrote them, so they may hold anything."""
    limits: tuple[LimitReached, ...] = ()
    """Which of its limits it had reached."""

    @property
    def last_lines(self) -> list[str]:
        """The last lines of the logs that hold anything, oldest first."""
        return [line for line in self.log.splitlines() if line.strip()][-LAST_LINES:]


def encode(record: StartRecord) -> bytes:
    """The content of the record's file."""
    body = {**asdict(record), "version": VERSION}
    return json.dumps(body, default=datetime.isoformat).encode() + b"\n"


def decode(content: bytes) -> StartRecord:
    """The record of a file; raises Invalid if it is damaged or of another version."""
    try:
        body = json.loads(content)
        if body["version"] != VERSION:
            raise Invalid(f"a record of version {body['version']}; this program knows {VERSION}")
        return StartRecord(
            vm_id=VmId(int(body["vm_id"])),
            generation=Generation(int(body["generation"])),
            ended_at=datetime.fromisoformat(body["ended_at"]),
            reason=str(body["reason"]),
            failed=bool(body["failed"]),
            log=str(body["log"]),
            # Records of earlier releases have none.
            limits=tuple(_limit(one) for one in body.get("limits", ())),
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise Invalid(f"not a record of a start: {error}") from error


def _limit(body: dict[str, object]) -> LimitReached:
    at = body["at"]
    return LimitReached(
        GuestLimit(str(body["limit"])),
        int(str(body["count"])),
        None if at is None else datetime.fromisoformat(str(at)),
    )


def text_of(records: Sequence[StartRecord], now: str | None) -> str:
    """The logs of past starts, oldest first, then the log of the guest that runs now."""
    parts = [
        f"--- start {record.generation}, ended at {record.ended_at:%Y-%m-%d %H:%M:%S %Z}:"
        f" {record.reason}\n{record.log}"
        for record in records
    ]
    if now is not None:
        parts.append(f"--- now\n{now}" if parts else now)
    return "\n".join(parts)
