"""The trace of a run: from a Pipeline at its end and its PipelineJobs to spans.

Rule: it knows what the operator remembers, and no clock. Ids are digests of UIDs and the number of the run, so a run
that is told twice is one trace. Of what users wrote a span holds names, kinds and priorities: no params, no results,
no messages.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hashlib import sha256

from task_pipeline.api.states import State
from task_pipeline.api.times import parse_time
from task_pipeline.core.records import JobRecord, PipelineRecord, StageStatus

MOST_JOBS = 1000
"""Jobs of one trace that have a span, besides one span for the run and one for each of its at most 64 stages."""
PREFIX = "task_pipeline."

Attributes = Mapping[str, str | int]


@dataclass(frozen=True, slots=True)
class Span:
    """One span; `start`, `end` and `launched` are nanoseconds since the epoch.

    `trace` has 128 bits, `id` 64. `parent`: the id of the span above it, None for that of the run. `failed`: the reason
    of a failure, None if there was none. `launched`: when the latest attempt of a job was launched.
    """

    name: str
    trace: int
    id: int
    parent: int | None
    start: int
    end: int
    attributes: Attributes
    failed: str | None = None
    launched: int | None = None


def spans_of(pipeline: PipelineRecord, jobs: Iterable[JobRecord]) -> list[Span]:
    """The spans of a Pipeline's current run, which is over: of the run, of each stage, and of MOST_JOBS jobs at most.

    `jobs` are the Pipeline's PipelineJobs; those of other runs are left out. Of too many, the failed ones come first,
    then those that stand first in the list of jobs.
    """
    return _Run(pipeline, jobs).spans()


class _Run:
    def __init__(self, pipeline: PipelineRecord, jobs: Iterable[JobRecord]) -> None:
        self._pipeline, self._identity = pipeline, (pipeline.uid, pipeline.run)
        self._jobs = sorted((job for job in jobs if job.spec.run == pipeline.run), key=lambda job: job.spec.index)
        first = sorted(self._jobs, key=lambda job: job.status.state is not State.ERROR)
        self._shown = {job.uid for job in first[:MOST_JOBS]}
        self._trace = _number(16, "trace", *self._identity)
        self._root = _number(8, "run", *self._identity)
        self._end = _time(pipeline.status.completion_time or pipeline.created)
        self._common: Attributes = _attributes(
            pipeline=pipeline.name,
            namespace=pipeline.namespace,
            client_id=None if pipeline.spec is None else pipeline.spec.client_id,
            run=pipeline.run,
        )

    def spans(self) -> list[Span]:
        """All of them, those above before those below."""
        pipeline, status, below = self._pipeline, self._pipeline.status, list[Span]()
        accepted = [] if status.accepted_time is None else [status.accepted_time]  # before it waited for its place
        begin = min([self._end, *map(_time, accepted), *(_time(job.created) for job in self._jobs)])
        last = begin  # a stage begins when the one before it has ended
        for index, stage in enumerate(status.stages):
            spans = self._stage(index, stage, last)
            last = spans[0].end
            below += spans
        left_out = len(self._jobs) - len(self._shown)
        attributes = _attributes(
            priority=None if pipeline.spec is None else pipeline.spec.priority,
            state=status.state,
            reason=status.reason,
            jobs_left_out=left_out or None,
        )
        root = Span(
            f"pipeline {pipeline.name}", self._trace, self._root, None, begin, max(self._end, last),
            {**self._common, **attributes}, _failed(status.state, status.reason),
        )  # fmt: skip
        return [root, *below]

    def _stage(self, index: int, stage: StageStatus, begin: int) -> list[Span]:
        """The span of a stage, and those of its jobs."""
        own = _number(8, "stage", *self._identity, index)
        jobs = [job for job in self._jobs if job.spec.stage_index == index]
        spans = {job.uid: self._job(job, own, begin) for job in jobs}
        attributes = _attributes(
            stage=stage.name, state=stage.state, jobs=stage.total, done=stage.done, failed=stage.failed,
            cancelled=stage.cancelled,
        )  # fmt: skip
        span = Span(
            f"stage {stage.name}",
            self._trace,
            own,
            self._root,
            min((span.start for span in spans.values()), default=begin),
            max((span.end for span in spans.values()), default=begin),
            {**self._common, **attributes},
            _failed(stage.state, None),
        )
        return [span, *(span for uid, span in spans.items() if uid in self._shown)]

    def _job(self, job: JobRecord, stage: int, begin: int) -> Span:
        """The span of a job: from when its stage opened to its end."""
        spec, status = job.spec, job.status
        end = max(begin, self._end if status.completion_time is None else _time(status.completion_time))
        attributes = _attributes(
            stage=spec.stage, job=spec.name, kind=spec.kind, priority=spec.priority, state=status.state,
            reason=status.reason, attempts=status.attempt or 0,
        )  # fmt: skip
        return Span(
            f"job {spec.name}",
            self._trace,
            _number(8, "job", job.uid),
            stage,
            min(max(begin, _time(job.created)), end),
            end,
            {**self._common, **attributes},
            _failed(status.state, status.reason),
            None if status.start_time is None else _time(status.start_time),
        )


def _number(size: int, *parts: str | int) -> int:
    """An id of so many bytes that is always the same for the same parts; never 0, which is no id."""
    return int.from_bytes(sha256("/".join(map(str, parts)).encode()).digest()[:size]) or 1


def _time(text: str) -> int:
    moment = parse_time(text)
    return int(moment.timestamp()) * 1_000_000_000 + moment.microsecond * 1000


def _attributes(**values: str | int | None) -> Attributes:
    """Attributes in the namespace of this product; what is None is left out."""
    return {
        PREFIX + name: str(value) if isinstance(value, str) else value
        for name, value in values.items()
        if value is not None
    }


def _failed(state: State, reason: str | None) -> str | None:
    return (reason or "") if state is State.ERROR else None
