"""A workload that someone else holds back (Kueue, a scheduling gate): the clocks of its attempt stand still.

The condition `Suspended` of the PipelineJob is the memory: True since the hold was seen, False since its end. What an
attempt ran before a hold counts: its start moves forward by the length of each hold, and by nothing else. Only the time
to begin to run starts afresh, because the workload is started once more.
"""

from datetime import datetime

from msgspec.structs import replace

from task_pipeline.api.reasons import Reason
from task_pipeline.api.times import format_time, parse_time
from task_pipeline.core.messages import CONDITION_LENGTH, STATUS_LENGTH, shortened
from task_pipeline.core.records import Condition, JobStatus

_SUSPENDED = "Suspended"


def held(status: JobStatus, message: str, now: datetime) -> JobStatus:
    """The status of a job whose workload is held back since now, or still is."""
    mark = _mark(status)
    if mark is None or mark.status != "True":
        mark = Condition(
            type=_SUSPENDED, status="True", reason=Reason.EXTERNALLY_QUEUED.value,
            message=shortened(message, CONDITION_LENGTH), last_transition_time=format_time(now),
        )  # fmt: skip
    text = shortened(message, STATUS_LENGTH) or None
    return replace(status, reason=Reason.EXTERNALLY_QUEUED.value, message=text, conditions=(mark,))


def is_held(status: JobStatus) -> bool:
    """Whether the hold of the workload has been written, and its end has not."""
    return status.reason == Reason.EXTERNALLY_QUEUED


def released(status: JobStatus, now: datetime) -> JobStatus:
    """The status once nobody holds the workload back any more: its start is later by as long as it was held."""
    mark = _mark(status)
    since = mark.last_transition_time if mark is not None else status.start_time
    began = parse_time(status.start_time or format_time(now))
    if since is not None:
        began = min(now, began + (now - parse_time(since)))
    over = Condition(
        type=_SUSPENDED, status="False", reason=Reason.STARTING.value, last_transition_time=format_time(now)
    )
    return replace(
        status, reason=Reason.STARTING.value, message=None, start_time=format_time(began), conditions=(over,)
    )


def starts_from(status: JobStatus) -> str | None:
    """The time from which the workload may take `startTimeout` to begin to run: its launch, or the end of a hold."""
    mark = _mark(status)
    return status.start_time if mark is None else mark.last_transition_time


def _mark(status: JobStatus) -> Condition | None:
    return next((one for one in status.conditions if one.type == _SUSPENDED), None)
