"""Counts of a Pipeline's jobs, kept up to date one change at a time.

A Tally is what decisions know of a Pipeline's jobs: it grows with the stages, not with the jobs, and a change of one
job costs the same whether the Pipeline has two jobs or two thousand.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from task_pipeline.api.pipeline import PipelineSpec
from task_pipeline.api.reasons import Reason
from task_pipeline.api.states import State
from task_pipeline.core.records import JobRecord

LISTED_FAILURES = 20


@dataclass(slots=True)
class StageTally:
    """The jobs of one stage that exist, by what has become of them.

    `stopping` are READY jobs whose workload is not gone yet (they are in `waiting` too); `failures` the jobs whose end
    shuts the barrier, `allowed` those that failed with leave; `user_cancelled` those a user cancelled.
    """

    waiting: int = 0
    running: int = 0
    done: int = 0
    failed: int = 0
    cancelled: int = 0
    stopping: int = 0
    failures: int = 0
    allowed: int = 0
    user_cancelled: int = 0

    @property
    def existing(self) -> int:
        """How many jobs of the stage exist."""
        return self.waiting + self.running + self.done + self.failed + self.cancelled

    @property
    def unfinished(self) -> int:
        """How many of them are not final."""
        return self.waiting + self.running


@dataclass(slots=True)
class Tally:
    """The stages of one run of a Pipeline, the names of its failed jobs as they came, its first launch (RFC 3339)."""

    stages: dict[int, StageTally] = field(default_factory=dict)
    failed_jobs: dict[str, None] = field(default_factory=dict)
    first_start: str | None = None

    def stage(self, index: int) -> StageTally:
        """The counts of stage `index`, all zero when none of its jobs exists."""
        return self.stages.get(index) or StageTally()

    def count(self, job: JobRecord, step: int) -> None:
        """Add (`step` 1) or take away (-1) one job."""
        tally = self.stages.setdefault(job.spec.stage_index, StageTally())
        for name in _kinds_of_count(job):
            setattr(tally, name, getattr(tally, name) + step)
        started = job.status.start_time
        if started is not None and (self.first_start is None or started < self.first_start):
            self.first_start = started
        if job.status.state is State.ERROR:
            if step > 0:
                self.failed_jobs[job.spec.name] = None
            else:
                self.failed_jobs.pop(job.spec.name, None)

    @property
    def running(self) -> int:
        """Jobs IN PROGRESS, and READY ones whose workload is still being stopped."""
        return sum(stage.running + stage.stopping for stage in self.stages.values())

    @property
    def unfinished(self) -> int:
        """Existing jobs that are not final."""
        return sum(stage.unfinished for stage in self.stages.values())

    @property
    def started(self) -> bool:
        """True once any job has been launched."""
        return self.first_start is not None


def tally_of(jobs: Iterable[JobRecord]) -> Tally:
    """The counts of `jobs`, from scratch."""
    tally = Tally()
    for job in jobs:
        tally.count(job, 1)
    return tally


_BY_STATE: Mapping[State, str] = {
    State.READY: "waiting",
    State.IN_PROGRESS: "running",
    State.DONE: "done",
    State.ERROR: "failed",
    State.CANCELLED: "cancelled",
}


def _kinds_of_count(job: JobRecord) -> list[str]:
    state, reason = job.status.state, job.status.reason
    names = [_BY_STATE[state]]
    if state is State.READY and reason == Reason.STOPPING:
        names.append("stopping")
    bad_end = state is State.ERROR or (state is State.CANCELLED and reason == Reason.QUEUE_TIMEOUT)
    if bad_end:
        names.append("allowed" if job.spec.allow_failure else "failures")
    if state is State.CANCELLED and reason == Reason.USER_CANCELLED and not job.spec.allow_failure:
        names.append("user_cancelled")
    return names


def stage_totals(spec: PipelineSpec) -> list[int]:
    """How many jobs each stage of `spec` has, in the order of the stages."""
    place = {name: index for index, name in enumerate(spec.stages)}
    totals = [0] * len(spec.stages)
    for job in spec.jobs:
        totals[place[job.stage]] += 1
    return totals
