"""What is still to be done about a Pipeline that is over: another run, or the cleaning up after its time to live.

The time to live counts from the end of the latest run.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from msgspec.structs import replace

from task_pipeline.api.times import format_time
from task_pipeline.core.deadlines import after, passed
from task_pipeline.core.records import PipelineRecord, PipelineStatus
from task_pipeline.core.rerun import answer, unasked, wish
from task_pipeline.core.rollup import Tally


class Cleanup(StrEnum):
    """What is to be removed now."""

    NONE = "none"
    JOBS = "jobs"  # the PipelineJobs, and with them their workloads, once the status says that they go
    PIPELINE = "pipeline"  # the Pipeline, and with it all it owns


@dataclass(frozen=True, slots=True)
class Afterwards:
    """The status to write if it differs; `wake`: look again then."""

    status: PipelineStatus
    cleanup: Cleanup = Cleanup.NONE
    wake: datetime | None = None


def afterwards(
    pipeline: PipelineRecord, tally: Tally, *, jobs: bool, ttl: float, now: datetime, remnants: bool = False
) -> Afterwards:
    """The next step for a final Pipeline of which PipelineJobs exist (`jobs`) or not, and of whose deleted PipelineJobs
    something runs on (`remnants`) or not.

    `ttl` is the time to live in seconds of one that names none; `tally` counts its latest run.
    """
    rerun, seen = wish(pipeline), replace(pipeline, status=acknowledged(pipeline))
    status = unasked(seen) if rerun is None else answer(seen, rerun, tally, format_time(now), remnants=remnants)
    if status.run != pipeline.status.run:
        return Afterwards(status)
    due = after(status.completion_time, _time_to_live(pipeline, ttl))
    if not passed(due, now):
        return Afterwards(status, wake=due)
    if pipeline.spec is not None and pipeline.spec.ttl_policy == "Delete":
        return Afterwards(status, Cleanup.PIPELINE)
    return Afterwards(status, Cleanup.JOBS if jobs else Cleanup.NONE)


def acknowledged(pipeline: PipelineRecord) -> PipelineStatus:
    """The status of a Pipeline whose spec has been seen, and changes nothing."""
    status = pipeline.status
    if status.observed_generation in (-1, pipeline.generation):
        return status
    generation = pipeline.generation
    conditions = tuple(replace(condition, observed_generation=generation) for condition in status.conditions)
    return replace(status, observed_generation=generation, conditions=conditions)


def _time_to_live(pipeline: PipelineRecord, default: float) -> float:
    own = None if pipeline.spec is None else pipeline.spec.ttl_seconds_after_finished
    return default if own is None else own
