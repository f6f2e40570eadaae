"""Why something waits: one reason for each entry of the queue, and the words for it.

The first that applies counts: what holds the entry up however empty the queue is, then the windows, then the limits.
`Queued` is what remains: others are ahead of it. Only the first of the whole order waits for the limit of all slots.
"""

from typing import NamedTuple

from task_pipeline.api.reasons import Reason
from task_pipeline.core.lane import Entry, Lane, Zone
from task_pipeline.core.queue import Queue


class Wait(NamedTuple):
    """What a status says of a wait."""

    reason: Reason
    message: str | None


def reason_of(queue: Queue, lane: Lane, entry: Entry) -> Reason:
    """Why `entry` of `lane` waits."""
    reason = zone_reason(lane, entry.zone)
    return Reason.GLOBAL_LIMIT if reason is Reason.QUEUED and is_blocked_head(queue, entry) else reason


def zone_reason(lane: Lane, zone: Zone) -> Reason:
    """Why whatever is in `zone` of `lane` waits, but for the first of the whole order."""
    if zone is Zone.HELD:
        return Reason.SUSPENDED
    if lane.terms is None or lane.terms.suspended:
        return Reason.CLIENT_SUSPENDED
    if lane.terms.limit == 0:
        return Reason.CLIENT_LIMIT
    if zone is Zone.BEYOND:
        return Reason.CLIENT_QUEUE_FULL
    if zone is Zone.OUTSIDE:
        return Reason.QUEUE_FULL
    return Reason.CLIENT_LIMIT if lane.at_limit else Reason.QUEUED


def is_blocked_head(queue: Queue, entry: Entry) -> bool:
    """Whether `entry` would start now if one more slot were free."""
    return queue.full and queue.head() is entry


def wait_for(queue: Queue, client: str, reason: Reason) -> Wait:
    """`reason` in words, with limit and use of `client` or of all."""
    return Wait(reason, _message(queue, queue.lane(client), reason))


def _message(queue: Queue, lane: Lane, reason: Reason) -> str | None:
    terms, client = lane.terms, lane.client
    match reason:
        case Reason.GLOBAL_LIMIT:
            return f"{queue.running}/{queue.limit} jobs running in all"
        case Reason.QUEUE_FULL:
            return f"{queue.enqueued}/{queue.size} jobs enqueued in all"
        case Reason.SUSPENDED:
            return "spec.suspend of the Pipeline is true"
        case Reason.CLIENT_SUSPENDED if terms is None:
            return f"there is no valid PipelineClient {client} any more"
        case Reason.CLIENT_SUSPENDED:
            return f"client {client} is suspended"
        case Reason.CLIENT_LIMIT if terms is not None:
            return f"client {client} {lane.running}/{terms.limit} running"
        case Reason.CLIENT_QUEUE_FULL if terms is not None:
            return f"client {client} {lane.inside}/{terms.queue_size} enqueued"
        case _:
            return None
