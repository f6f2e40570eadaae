"""One run as people see it: stages with their jobs, made from the Pipeline and its PipelineJobs. Pure.

Rule: a job is shown from its PipelineJob of the current run, or of the run from which a rerun has taken it over; one
whose stage is not open yet is shown from the spec alone. Over REST a Pipeline may come without `spec.jobs`.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from task_pipeline.api.states import TERMINAL
from task_pipeline.cli.ages import span
from task_pipeline.cli.backend import Object

INVALID = ("InvalidSpec", "ClientNotAllowed")


@dataclass(frozen=True, slots=True)
class JobView:
    """One job. `thing` is its PipelineJob, None before its stage opens."""

    name: str
    stage: str
    kind: str
    state: str
    reason: str
    message: str
    attempt: int
    time: str
    thing: Object | None

    @property
    def final(self) -> bool:
        """Whether it is over."""
        return self.state in TERMINAL


@dataclass(frozen=True, slots=True)
class StageView:
    """One stage: its counts as the Pipeline's status has them, and the jobs that are known."""

    name: str
    state: str
    done: int
    total: int
    jobs: Sequence[JobView]


@dataclass(frozen=True, slots=True)
class RunView:
    """The current run of a Pipeline."""

    namespace: str
    name: str
    state: str
    reason: str
    message: str
    run: int
    progress: str
    time: str
    stages: Sequence[StageView]

    @property
    def jobs(self) -> list[JobView]:
        """All jobs, in the order of the stages."""
        return [job for stage in self.stages for job in stage.jobs]


def is_over(pipeline: Object) -> bool:
    """Whether nothing more will happen by itself: a final state, and no rerun that is asked for and not answered."""
    status, meta = pipeline.get("status", {}), pipeline["metadata"]
    if status.get("state") not in TERMINAL:
        return False
    if status.get("reason") in INVALID and not status.get("startTime"):
        return int(status.get("observedGeneration", -1)) >= int(meta.get("generation", 0))
    return not awaits_rerun(pipeline)


def awaits_rerun(pipeline: Object) -> bool:
    """Whether it is over and another run was asked for that has not been answered yet, and may be."""
    spec, status = pipeline.get("spec", {}), pipeline.get("status", {})
    asked = (spec.get("rerun") or {}).get("id")
    answered = asked is None or asked == status.get("rerunId")
    return status.get("state") in TERMINAL and not answered and not spec.get("cancel")


def run_view(pipeline: Object, jobs: Iterable[Object], now: datetime) -> RunView:
    """The view of the current run at `now`."""
    meta, spec, status = pipeline["metadata"], pipeline.get("spec", {}), pipeline.get("status", {})
    run = int(status.get("run", 1))
    since = int((status.get("kept") or {}).get("since", run))
    known = _of_run(jobs, run, since)
    counts = {stage["name"]: stage for stage in status.get("stages", ())}
    names = [str(name) for name in spec.get("stages") or counts]
    open_stage = status.get("stage")
    stages = []
    for name in names:
        views = [_job(thing, now) for thing in known.values() if thing["spec"]["stage"] == name]
        views.sort(key=lambda job: job.thing["spec"]["index"] if job.thing else 0)
        there = {view.name for view in views}
        planned = [job for job in spec.get("jobs", ()) if job.get("stage") == name and job.get("name") not in there]
        reason = "" if status.get("state") in TERMINAL else "Queued" if name == open_stage else "StageNotReached"
        state = "CANCELLED" if status.get("state") in TERMINAL else "READY"
        views += [
            JobView(job["name"], name, job.get("kind", ""), state, reason, "", 0, "", None)
            for job in planned
            if isinstance(job.get("name"), str)
        ]
        count = counts.get(name, {})
        done = sum(count.get(field, 0) for field in ("done", "failed", "cancelled"))
        stages.append(StageView(name, count.get("state", "READY"), done, count.get("total", len(views)), views))
    return RunView(
        namespace=meta["namespace"],
        name=meta["name"],
        state=status.get("state", "READY"),
        reason=status.get("reason") or "",
        message=status.get("message") or "",
        run=run,
        progress=status.get("progress") or "",
        time=span(status.get("startTime"), status.get("completionTime"), now),
        stages=stages,
    )


def _of_run(jobs: Iterable[Object], run: int, since: int) -> dict[str, Object]:
    """The PipelineJobs of the run by name, with the DONE ones of the runs that it builds upon."""
    found: dict[str, Object] = {}
    for thing in sorted(jobs, key=lambda one: one["spec"]["run"]):
        of = thing["spec"]["run"]
        if of == run or (since <= of < run and thing.get("status", {}).get("state") == "DONE"):
            found[thing["spec"]["name"]] = thing
    return found


def _job(thing: Object, now: datetime) -> JobView:
    spec, status = thing["spec"], thing.get("status", {})
    last = (status.get("attempts") or [{}])[-1]
    message = status.get("message") or (last.get("message") if status.get("state") == "ERROR" else "") or ""
    return JobView(
        name=spec["name"],
        stage=spec["stage"],
        kind=spec["kind"],
        state=status.get("state", "READY"),
        reason=status.get("reason") or "",
        message=message,
        attempt=status.get("attempt") or 0,
        time=span(status.get("startTime"), status.get("completionTime"), now),
        thing=thing,
    )
