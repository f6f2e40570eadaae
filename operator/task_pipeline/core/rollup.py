"""Counts of a Pipeline's jobs, kept up to date one change at a time.

A Tally is what decisions know of a Pipeline's jobs: it grows with the stages and the failures, not with the jobs, and a
change of one job costs the same whether the Pipeline has two jobs or two thousand. It says the same whichever way it
came about, so that a restarted operator, which counts afresh, writes nothing.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from heapq import nsmallest

from task_pipeline.api.reasons import Reason
from task_pipeline.api.states import State
from task_pipeline.core.records import JobRecord, Kept

LISTED_FAILURES = 20


@dataclass(slots=True)
class StageTally:
    """The jobs of one stage that exist, by what has become of them.

    `stopping` are READY jobs whose workload is not gone yet (they are in `waiting` too). `failures` ended badly in a
    way that shuts the barrier, `allowed` did so with leave; `excused` are those of the allowed that were cancelled by
    their queueTimeout. A user cancelled the `user_cancelled` in a way that counts, the deadline the `overdue`. Of
    the `done`, `kept` should be jobs of earlier runs.
    """

    waiting: int = 0
    running: int = 0
    done: int = 0
    failed: int = 0
    cancelled: int = 0
    stopping: int = 0
    failures: int = 0
    allowed: int = 0
    excused: int = 0
    user_cancelled: int = 0
    overdue: int = 0
    kept: int = 0

    @property
    def existing(self) -> int:
        """How many jobs of the stage exist."""
        return self.waiting + self.running + self.done + self.failed + self.cancelled

    @property
    def unfinished(self) -> int:
        """How many of them are not final."""
        return self.waiting + self.running


_NO_JOBS = StageTally()


@dataclass(slots=True)
class Tally:
    """The stages of one run of a Pipeline that have jobs, its failed jobs, its first launch (RFC 3339).

    The launch is the earliest that was ever seen: retries and deletions do not undo it.
    """

    stages: dict[int, StageTally] = field(default_factory=dict)
    failed_jobs: dict[str, tuple[bool, int]] = field(default_factory=dict)
    """By name: whether it was allowed to fail, and its place in the list of jobs."""
    waits: dict[str, int] = field(default_factory=dict)
    """How many READY jobs tell each reason."""
    first_start: str | None = None

    def stage(self, index: int) -> StageTally:
        """The counts of stage `index`, all zero when none of its jobs exists; do not change them."""
        return self.stages.get(index, _NO_JOBS)

    def count(self, job: JobRecord, step: int) -> None:
        """Add (`step` 1) or take away (-1) one job."""
        tally = self.stages.setdefault(job.spec.stage_index, StageTally())
        names = _kinds_of_count(job)
        for name in names:
            setattr(tally, name, getattr(tally, name) + step)
        if tally.existing == 0:
            del self.stages[job.spec.stage_index]
        if job.status.state is State.READY:
            self.waits[job.status.reason] = self.waits.get(job.status.reason, 0) + step
        started = job.status.start_time
        if started is not None and (self.first_start is None or started < self.first_start):
            self.first_start = started
        if "failures" in names or "allowed" in names:
            if step > 0:
                self.failed_jobs[job.spec.name] = (job.spec.allow_failure, job.spec.index)
            else:
                self.failed_jobs.pop(job.spec.name, None)

    def with_kept(self, earlier: Iterable["Tally"], kept: Kept) -> "Tally":
        """The counts of a run that took over the DONE jobs of `earlier` runs, of which there should be `kept`."""
        runs = list(earlier)
        stages = dict(self.stages)
        for index, expected in enumerate(kept.jobs):
            own, done = self.stage(index), sum(run.stage(index).done for run in runs)
            stages[index] = replace(own, done=own.done + done, kept=expected)
        return replace(self, stages={index: stage for index, stage in stages.items() if stage.existing or stage.kept})

    def failed_names(self, limit: int = LISTED_FAILURES) -> tuple[str, ...]:
        """Names of failed jobs, at most `limit`: those that count first, each in the order of the list of jobs."""
        return tuple(nsmallest(limit, self.failed_jobs, key=self.failed_jobs.__getitem__))

    def total(self, count: str) -> int:
        """The sum over all stages of one of the counts of StageTally, by its name."""
        return sum(getattr(stage, count) for stage in self.stages.values())

    @property
    def running(self) -> int:
        """Jobs IN PROGRESS, and READY ones whose workload is still being stopped."""
        return self.total("running") + self.total("stopping")

    @property
    def unfinished(self) -> int:
        """Existing jobs that are not final."""
        return self.total("unfinished")

    @property
    def started(self) -> bool:
        """True once any job has been launched."""
        return self.first_start is not None

    @property
    def untouched(self) -> bool:
        """True while nothing has been launched and no job exists but those taken over from earlier runs."""
        return not self.started and all(stage.existing <= stage.kept for stage in self.stages.values())


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
    """The names of all counts of StageTally that a job is in."""
    state, reason, allowed = job.status.state, job.status.reason, job.spec.allow_failure
    names = [_BY_STATE[state]]
    if state is State.READY and reason == Reason.STOPPING:
        names.append("stopping")
    elif state is State.ERROR:
        names.append("allowed" if allowed else "failures")
    elif state is State.CANCELLED and reason == Reason.QUEUE_TIMEOUT:
        names += ["allowed", "excused"] if allowed else ["failures"]
    elif state is State.CANCELLED and reason == Reason.USER_CANCELLED and not allowed:
        names.append("user_cancelled")
    elif state is State.CANCELLED and reason == Reason.DEADLINE_EXCEEDED:
        names.append("overdue")
    return names
