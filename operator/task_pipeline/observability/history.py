"""Counts what statuses tell: told of every status that the operator has written, with the record before and after.

Rule: one write is one piece of news, and each counts once: only the replica that works writes, and a write that lost
its race is not told. After a restart nothing is counted again.
"""

from collections.abc import Callable, Collection

from task_pipeline.api.reasons import MEANING, Category, Reason
from task_pipeline.api.states import State
from task_pipeline.api.times import parse_time
from task_pipeline.core.attempts import Outcome
from task_pipeline.core.records import Attempt, JobRecord, JobStatus, PipelineRecord
from task_pipeline.observability.catalog import (
    JOB_ATTEMPTS,
    LAUNCH_LATENCY,
    PIPELINE_DURATION,
    PIPELINES_FINISHED,
    QUEUE_WAIT,
    RETRIES,
)
from task_pipeline.observability.clients import OTHER, UNKNOWN
from task_pipeline.observability.meters import Meters

REASONS = frozenset(reason.value for reason in Reason)
_OUTCOMES = {State.DONE: "Succeeded", State.ERROR: "Failed", State.CANCELLED: "Cancelled"}
_INVALID = "Invalid"


class History:
    """`tell` after every status write.

    `client` makes a label of a client's name; `kinds` are the known job kinds. `since` gives the seconds of the epoch
    from which a waiting job's wait counts, `latency` the seconds since it was given its slot (None: not known).
    """

    def __init__(
        self,
        meters: Meters,
        client: Callable[[str], str],
        kinds: Collection[str],
        since: Callable[[JobRecord], float],
        latency: Callable[[JobRecord], float | None],
    ) -> None:
        self._client, self._kinds, self._since, self._latency = client, kinds, since, latency
        self._finished = meters.counter(PIPELINES_FINISHED)
        self._duration = meters.histogram(PIPELINE_DURATION).of()
        self._attempts = meters.counter(JOB_ATTEMPTS)
        self._retries = meters.counter(RETRIES)
        self._wait = meters.histogram(QUEUE_WAIT)
        self._launch = meters.histogram(LAUNCH_LATENCY).of()
        for kind in kinds:  # from 0, so that the first of them is an increase
            for outcome in Outcome:
                self._attempts.of(kind, outcome.value)
        for reason, meaning in MEANING.items():
            if meaning.category is Category.FAILED:
                self._retries.of(reason.value)
        for label in (UNKNOWN, OTHER):
            self.begin(label)

    def begin(self, client: str) -> None:
        """Let the ends of a client's Pipelines be told from 0; `client` is a label."""
        for outcome in (*_OUTCOMES.values(), _INVALID):
            self._finished.of(client, outcome)

    def tell(self, before: JobRecord | PipelineRecord, after: JobRecord | PipelineRecord) -> None:
        """Count what the change of an object, which has been written, stands for."""
        if isinstance(after, JobRecord):
            self._tell_job(before, after)  # type: ignore[arg-type]  # both are of one object
        elif after.final and not before.final:
            self._tell_end(after)

    def _tell_job(self, before: JobRecord, after: JobRecord) -> None:
        old, new = before.status, after.status
        if new.attempts is not old.attempts:
            ended = _ended(new)
            known = _ended(old)
            if ended is not None and (known is None or ended.attempt > known.attempt):
                self._tell_attempt(after, ended)
        if new.state is State.IN_PROGRESS and old.state is State.READY and new.attempt != old.attempt:
            self._tell_launch(before, new)

    def _tell_attempt(self, job: JobRecord, ended: Attempt) -> None:
        kind = job.spec.kind if job.spec.kind in self._kinds else OTHER
        self._attempts.of(kind, ended.outcome or "").inc()
        if not job.final and not job.stopping:
            self._retries.of(ended.reason if ended.reason in REASONS else OTHER).inc()

    def _tell_launch(self, job: JobRecord, launched: JobStatus) -> None:
        if launched.start_time is not None:
            waited = parse_time(launched.start_time).timestamp() - self._since(job)
            self._wait.of(self._client(job.spec.client_id)).observe(max(0.0, waited))
        latency = self._latency(job)
        if latency is not None:
            self._launch.observe(latency)

    def _tell_end(self, pipeline: PipelineRecord) -> None:
        status = pipeline.status
        client = UNKNOWN if pipeline.spec is None else self._client(pipeline.spec.client_id)
        outcome = _INVALID if pipeline.invalid else _OUTCOMES[status.state]
        self._finished.of(client, outcome).inc()
        if status.start_time is not None and status.completion_time is not None:
            took = parse_time(status.completion_time) - parse_time(status.start_time)
            self._duration.observe(max(0.0, took.total_seconds()))


def _ended(status: JobStatus) -> Attempt | None:
    """The last attempt in the list that has ended."""
    for attempt in reversed(status.attempts):
        if attempt.outcome is not None:
            return attempt
    return None
