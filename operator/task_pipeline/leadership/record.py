"""The record in the Lease, and the decision about it. Pure: functions of what was read, when, and the time now.

Rule: times of the record are never compared with a clock here: whether another holder's lease has run out is judged by
how long ago this process saw the record change. The protocol is that of coordination.k8s.io/v1 Leases as the
controllers of Kubernetes use them, so their tools and ours understand each other.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from typing import Any

from msgspec.structs import replace

from task_pipeline.api.objects import View
from task_pipeline.api.times import format_time, parse_time

LONGEST_DURATION = 3600  # seconds: a record that asks for more was not written by an operator


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds. `duration`: others leave a lease alone for so long after it was last renewed; `deadline`: so long after
    its last renewal its holder works; `retry`: between two tries to get or to renew it. retry < deadline < duration.
    """

    duration: int = 15
    deadline: float = 10.0
    retry: float = 2.0

    @property
    def patience(self) -> float:
        """The longest that one try may take: two fit into the deadline."""
        return self.deadline / 2


class Record(View, frozen=True):
    """The `spec` of a Lease; a holder that is absent or empty: nobody."""

    holder_identity: str | None = None
    lease_duration_seconds: int | None = None
    acquire_time: str | None = None
    renew_time: str | None = None
    lease_transitions: int | None = None


@dataclass(frozen=True, slots=True)
class Seen:
    """The record as it was last read (None: there is no Lease), and since when it looks like that, by one's own clock.

    `holder` and `until`: who was last seen holding it, and before when that one is not to be replaced.
    """

    record: Record | None = None
    since: float = 0.0
    holder: str | None = None
    until: float = 0.0


class Action(Enum):
    """What to do about the Lease now."""

    WAIT = "wait"
    CREATE = "create"
    TAKE = "take"
    RENEW = "renew"
    LOSE = "lose"


def see(before: Seen, record: Record | None, now: float, timing: Timing) -> Seen:
    """What is known after the record has been read at `now`."""
    if record == before.record and before.holder is not None:
        return before
    if record is None:  # it was deleted: who held it may not know yet, and may have renewed it a moment before
        return Seen(None, now, before.holder, now + _duration(before.record or Record(), timing))
    return Seen(record, now, record.holder_identity or "", now + _duration(record, timing))


def _duration(record: Record, timing: Timing) -> float:
    """How long a record is respected: as long as its holder asks for, and never less than we would ask for."""
    asked = record.lease_duration_seconds or 0
    return max(timing.duration, asked if asked <= LONGEST_DURATION else 0)


def decide(seen: Seen, now: float, identity: str, held_until: float | None) -> Action:
    """What `identity` does; `held_until`: before when it leads, None while it does not."""
    record = seen.record
    if held_until is not None:
        if now >= held_until or (record is not None and record.holder_identity != identity):
            return Action.LOSE
        return Action.CREATE if record is None else Action.RENEW
    if record is None:
        return Action.CREATE if seen.holder in (None, "", identity) or now >= seen.until else Action.WAIT
    if record.holder_identity == identity:  # taken a moment ago, and the answer was lost
        return Action.RENEW
    return Action.TAKE if not record.holder_identity or now >= seen.until else Action.WAIT


def held(before: Record | None, identity: str, now: datetime, timing: Timing) -> Record:
    """The record with which `identity` takes or renews the lease; `now` is the time of day."""
    moment = format_time(_later(before, now))
    known = before or Record()
    ours = known.holder_identity == identity
    transitions = known.lease_transitions or 0
    return Record(
        holder_identity=identity,
        lease_duration_seconds=timing.duration,
        acquire_time=known.acquire_time if ours else moment,
        renew_time=moment,
        lease_transitions=transitions if ours or before is None else transitions + 1,
    )


def released(before: Record, now: datetime) -> Record:
    """The record with which its holder gives the lease back: whoever reads it next may take it at once."""
    return replace(before, holder_identity="", lease_duration_seconds=1, renew_time=format_time(now))


def wire(record: Record) -> dict[str, Any]:
    """The record as the `spec` of a Lease."""
    return {
        "holderIdentity": record.holder_identity,
        "leaseDurationSeconds": record.lease_duration_seconds,
        "acquireTime": record.acquire_time,
        "renewTime": record.renew_time,
        "leaseTransitions": record.lease_transitions,
    }


def _later(before: Record | None, now: datetime) -> datetime:
    """`now`, or a moment after the last renewal if the time of day went back: each renewal is to be seen as one."""
    if before is None or before.renew_time is None:
        return now
    try:
        renewed = parse_time(before.renew_time)
    except ValueError:
        return now
    if now > renewed or renewed - now > timedelta(days=1):
        return now
    return renewed + timedelta(microseconds=1)
