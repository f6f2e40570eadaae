"""Whether a job must come to an end although it did nothing wrong itself.

Cancels, the Pipeline's own deadline and failures upstream all end jobs from outside. One function says which of them
applies to a job, so that waiting jobs, running jobs and the scheduler agree.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from task_pipeline.api.reasons import Reason
from task_pipeline.core.deadlines import after, passed
from task_pipeline.core.records import JobRecord, PipelineRecord
from task_pipeline.core.stages import Barrier


@dataclass(frozen=True, slots=True)
class Closing:
    """An end from outside: `reason` is what an unfinished job gets; with `stop_running` running ones stop too."""

    reason: Reason
    message: str
    stop_running: bool


class Pressure(NamedTuple):
    """All that may end jobs of a Pipeline from outside. Whenever it has changed, they have to look at themselves: a
    cancel that lets running jobs finish may be followed by a deadline that does not.
    """

    reason: Reason | None
    stop_running: bool
    broken: int | None
    failed: bool


def pressure(whole: Closing | None, barrier: Barrier) -> Pressure | None:
    """What presses on the jobs of a Pipeline whose own end is `whole`; None when nothing does."""
    if whole is None and barrier.broken is None:
        return None
    reason, stops = (None, False) if whole is None else (whole.reason, whole.stop_running)
    return Pressure(reason, stops, barrier.broken, barrier.failed)


def of_pipeline(pipeline: PipelineRecord, now: datetime) -> Closing | None:
    """What ends every job of the Pipeline: its cancel or its deadline."""
    spec = pipeline.spec
    if spec is None:
        return None
    late = passed(after(pipeline.status.start_time, spec.timeout), now)
    if spec.cancel is not None:
        stop = spec.cancel == "Now" or late
        return Closing(Reason.USER_CANCELLED, f"the Pipeline was cancelled ({spec.cancel})", stop)
    if late:
        message = f"the Pipeline ran longer than its timeout of {spec.timeout} s"
        return Closing(Reason.DEADLINE_EXCEEDED, message, True)
    return None


def of_job(job: JobRecord, pipeline: PipelineRecord, barrier: Barrier, now: datetime) -> Closing | None:
    """What ends this job: its own cancel, its Pipeline's end, or a failure before it.

    Whatever stops running jobs goes first, so that a cancel that lets the job finish does not hide a stricter end.
    """
    own = _own_cancel(job)
    if own is not None and own.stop_running:
        return own
    outer = _from_outside(job, pipeline, barrier, now)
    return outer if own is None or (outer is not None and outer.stop_running) else own


def _own_cancel(job: JobRecord) -> Closing | None:
    cancel = job.spec.cancel
    if cancel is None:
        return None
    return Closing(Reason.USER_CANCELLED, f"the job was cancelled ({cancel})", cancel == "Now")


def _from_outside(job: JobRecord, pipeline: PipelineRecord, barrier: Barrier, now: datetime) -> Closing | None:
    if job.spec.run != pipeline.run:
        return Closing(Reason.UPSTREAM_FAILED, f"run {job.spec.run} is over", True)
    whole = of_pipeline(pipeline, now)
    if whole is not None or barrier.broken is None or pipeline.spec is None:
        return whole
    stage = pipeline.spec.stages[barrier.broken]
    if job.spec.stage_index > barrier.broken:
        what = "failed" if barrier.failed else "was cancelled"
        return Closing(Reason.UPSTREAM_FAILED, f"a job of stage {stage} {what}", False)
    if pipeline.spec.fail_fast and barrier.failed:
        return Closing(Reason.FAIL_FAST, f"a job of stage {stage} failed and failFast is set", False)
    return None
