"""One Pipeline as its page shows it: stages in columns, a pill for each job of the spec. Pure.

Rule: every job of the spec has its pill from the beginning, at the place that the spec gives it, so nothing moves while
one looks and an update is one pill. A rerun, or another spec, is another board.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import msgspec

from task_pipeline.api.states import TERMINAL, State
from task_pipeline.cache.convert import PipelineView
from task_pipeline.core.records import PipelineJobView, PipelineStatus, StageStatus
from task_pipeline.server.upstream import Object
from task_pipeline.server.web import looks
from task_pipeline.server.web.looks import Look

NO_SUCH_STAGE = "no such stage"  # heads the jobs whose stage the spec does not list
_COUNTED = ("running", "waiting", "done", "failed", "cancelled")


@dataclass(frozen=True, slots=True)
class Pill:
    """One job. `start` and `end` are those of its latest attempt; `attempt` is None before the first."""

    id: str
    name: str
    look: Look
    attempt: int | None = None
    start: str | None = None
    end: str | None = None


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage: its look, its counts by word without zeros, its total, and how many are over."""

    id: str
    name: str
    look: Look
    counts: tuple[tuple[str, int], ...]
    total: int
    over: int


@dataclass(frozen=True, slots=True)
class Head:
    """What stands above the stages."""

    namespace: str
    name: str
    look: Look
    state: str
    run: int
    client: str
    status: PipelineStatus
    suspended: bool
    cancelling: str
    created: str

    @property
    def final(self) -> bool:
        """Whether the run is over."""
        return self.state in TERMINAL

    @property
    def kept_apart(self) -> bool:
        """Whether only a complete rerun is left, because the jobs have been removed."""
        return self.status.cleanup_time is not None


class Board:
    """The Pipeline and its jobs as far as they are known."""

    def __init__(self, thing: Object, jobs: Iterable[PipelineJobView] = ()) -> None:
        self.view = msgspec.convert(thing, PipelineView)
        self.specs: list[Object] = thing["spec"]["jobs"]
        self.stage_names: list[str] = thing["spec"]["stages"]
        self._index = {job["name"]: number for number, job in enumerate(self.specs)}
        self._jobs: dict[str, PipelineJobView] = {}
        for job in jobs:
            self.learn_job(job)

    @property
    def run(self) -> int:
        """The number of the current run."""
        return self.view.status.run or 1

    def learn_pipeline(self, view: PipelineView) -> bool:
        """Take news of the Pipeline over; returns whether it is another board from now on."""
        old, self.view = self.view, view
        if old.metadata.uid != view.metadata.uid or (old.status.run or 1) != self.run:
            return True
        edited = old.metadata.generation != view.metadata.generation
        return edited and view.status.start_time is None  # afterwards stages and jobs are fixed

    def learn_job(self, job: PipelineJobView) -> int | None:
        """Take news of a job over; the number of its pill, None when it belongs to none that is shown."""
        spec, kept = job.spec, self.view.status.kept
        known = self._jobs.get(spec.name)
        taken_over = kept is not None and kept.since <= spec.run < self.run and job.status.state == "DONE"
        if spec.name not in self._index or not (spec.run == self.run or taken_over):
            return None
        if known is not None and known.spec.run > spec.run:
            return None
        self._jobs[spec.name] = job
        return self._index[spec.name]

    def forget_job(self, job: PipelineJobView) -> int | None:
        """A job exists no more; the number of its pill."""
        known = self._jobs.get(job.spec.name)
        if known is None or known.metadata.uid != job.metadata.uid:
            return None
        del self._jobs[job.spec.name]
        return self._index[job.spec.name]

    def pill(self, number: int) -> Pill:
        """The pill of the job at that place of the spec."""
        spec = self.specs[number]
        name, job = spec["name"], self._jobs.get(spec["name"])
        if job is None:
            return Pill(f"j{number}", name, self.absent())
        status = job.status
        seen = looks.job_look(status.state, status.reason, job.spec.allow_failure)
        start = None if status.state == State.READY else status.start_time  # between two attempts nothing runs
        return Pill(f"j{number}", name, seen, status.attempt, start, status.completion_time)

    def absent(self) -> Look:
        """How a job looks of which there is no PipelineJob."""
        status = self.view.status
        if status.cleanup_time is not None:
            return looks.REMOVED
        return looks.NOT_RUN if status.state in TERMINAL else looks.NOT_STARTED

    def stage(self, number: int) -> Stage:
        """The stage of that number as the Pipeline's status has it."""
        name = self.stage_names[number]
        seen = stage_looks(self.view.status)
        if number >= len(seen):
            total = sum(job["stage"] == name for job in self.specs)
            return Stage(f"s{number}", name, self.absent(), (), total, 0)
        found = self.view.status.stages[number]
        return Stage(f"s{number}", name, seen[number], _counts(found), found.total, _over(found))

    def stages(self) -> list[tuple[Stage, list[Pill]]]:
        """All stages with their pills, each job once; jobs of no stage, of a spec that was refused, come last."""
        pills: list[list[Pill]] = [[] for _ in self.stage_names]
        lost: list[Pill] = []
        first = {name: number for number, name in reversed(list(enumerate(self.stage_names)))}
        for number, job in enumerate(self.specs):
            place = first.get(job["stage"])
            (lost if place is None else pills[place]).append(self.pill(number))
        found = [(self.stage(number), mine) for number, mine in enumerate(pills)]
        if lost:
            found.append((Stage("lost", NO_SUCH_STAGE, self.absent(), (), len(lost), 0), lost))
        return found

    def head(self) -> Head:
        """What stands above the stages."""
        meta, spec, status = self.view.metadata, self.view.spec, self.view.status
        seen = looks.look(status.state, status.reason)
        return Head(
            namespace=meta.namespace,
            name=meta.name,
            look=seen,
            state=status.state,
            run=self.run,
            client=str(spec.get("clientId", "default")),
            status=status,
            suspended=bool(spec.get("suspend")),
            cancelling=str(spec.get("cancel") or ""),
            created=meta.creation_timestamp,
        )


def stage_looks(status: PipelineStatus) -> list[Look]:
    """The looks of the stages of a status; those behind the open one have not started."""
    names = [stage.name for stage in status.stages]
    opened = names.index(status.stage) if status.stage in names else -1
    return [
        looks.NOT_STARTED if number > opened and stage.state == State.READY else looks.look(stage.state)
        for number, stage in enumerate(status.stages)
    ]


def _counts(stage: StageStatus) -> tuple[tuple[str, int], ...]:
    return tuple((word, number) for word in _COUNTED if (number := getattr(stage, word)))


def _over(stage: StageStatus) -> int:
    return stage.done + stage.failed + stage.cancelled


def decode_job(data: bytes) -> PipelineJobView:
    """A PipelineJob from its JSON."""
    return msgspec.json.decode(data, type=PipelineJobView)


def decode_jobs(raw: bytes) -> tuple[list[PipelineJobView], str, str]:
    """One page of a list of PipelineJobs: the jobs, the token of the next page, and the place of the list."""
    page = msgspec.json.decode(raw, type=_Page)
    return page.items, page.metadata.continue_, page.metadata.resource_version


def decode_pipeline(data: bytes) -> PipelineView:
    """A Pipeline from its JSON."""
    return msgspec.json.decode(data, type=PipelineView)


class _ListMeta(msgspec.Struct, rename="camel"):
    resource_version: str = ""
    continue_: str = msgspec.field(default="", name="continue")


class _Page(msgspec.Struct):
    items: list[PipelineJobView]
    metadata: _ListMeta
