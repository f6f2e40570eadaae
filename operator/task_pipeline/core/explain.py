"""What runs next and why: the order of all that waits, for people. Reads records and changes nothing.

Whoever has the objects can ask: the queue is built from them as the operator builds it at its start, by the same code.
Only what the operator has decided and not written yet is missing.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from task_pipeline.api.reasons import Reason
from task_pipeline.core.deadlines import after
from task_pipeline.core.lane import Entry
from task_pipeline.core.places import job_entry, pipeline_entry, terms_of
from task_pipeline.core.queue import Queue
from task_pipeline.core.records import ClientRecord, JobRecord, PipelineRecord
from task_pipeline.core.rerun import kept_names
from task_pipeline.core.waiting import reason_of, wait_for


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All objects of the three kinds at one moment, and the operator's two limits (None: unlimited)."""

    pipelines: Iterable[PipelineRecord]
    jobs: Iterable[JobRecord]
    clients: Iterable[ClientRecord]
    max_running_jobs: int | None
    queue_size: int | None


@dataclass(frozen=True, slots=True)
class Place:
    """One place in the order. `job` is None for a Pipeline that waits undivided with all `jobs` of its first stage.

    `key` holds what was compared, by name, in the order of the comparison; it begins with `overdueSince` for what has
    waited longer than maxWaitSeconds, which goes before everything that has not.
    """

    position: int  # from 1
    namespace: str
    pipeline: str
    job: str | None
    jobs: int
    client: str
    key: Mapping[str, int | str]
    reason: Reason
    message: str | None
    since: datetime


def what_runs_next(snapshot: Snapshot, now: datetime) -> list[Place]:
    """Everything that waits at `now`, first what runs first. Jobs in backoff are not in the order."""
    pipelines = {pipeline.uid: pipeline for pipeline in snapshot.pipelines}
    jobs = {job.hash: job for job in snapshot.jobs}
    queue = _queue(snapshot, pipelines, jobs, now)
    return [
        _place(position, entry, queue, pipelines, jobs.get(entry.id)) for position, entry in enumerate(queue.order(), 1)
    ]


def _queue(
    snapshot: Snapshot, pipelines: Mapping[str, PipelineRecord], jobs: Mapping[str, JobRecord], now: datetime
) -> Queue:
    queue = Queue(snapshot.max_running_jobs, snapshot.queue_size)
    queue.advance(now.timestamp())
    for client in snapshot.clients:
        queue.set_terms(client.name, terms_of(client))
    for job in jobs.values():
        pipeline = pipelines.get(job.pipeline_uid)
        if job.holds_slot:
            queue.take_slot(job.hash, job.spec.client_id)
        elif pipeline is not None and _waits(job, pipeline, now):
            held = pipeline.spec is not None and pipeline.spec.suspend
            queue.put(job_entry(job, pipeline, _accepted(pipeline), held=held))
    jobs_of: dict[str, list[JobRecord]] = {}
    for job in jobs.values():
        jobs_of.setdefault(job.pipeline_uid, []).append(job)
    for pipeline in pipelines.values():
        own = jobs_of.get(pipeline.uid, [])
        if _waits_whole(pipeline) and all(job.spec.run != pipeline.run for job in own):
            queue.put(pipeline_entry(pipeline, _accepted(pipeline), kept_names(pipeline, own)))
    return queue


def _waits(job: JobRecord, pipeline: PipelineRecord, now: datetime) -> bool:
    if not job.waiting or job.deleting or job.spec.run != pipeline.run or job.spec.cancel is not None:
        return False
    retry = after(job.status.next_attempt_time, 0)
    return (retry is None or retry <= now) and pipeline.spec is not None and pipeline.spec.cancel is None


def _waits_whole(pipeline: PipelineRecord) -> bool:
    spec = pipeline.spec
    if spec is None or pipeline.final or pipeline.deleting or pipeline.status.divided is not None:
        return False
    return not spec.suspend and spec.cancel is None


def _accepted(pipeline: PipelineRecord) -> str:
    return pipeline.status.accepted_time or pipeline.created


def _place(
    position: int, entry: Entry, queue: Queue, pipelines: Mapping[str, PipelineRecord], job: JobRecord | None
) -> Place:
    pipeline, lane = pipelines[entry.key.uid], queue.lane(entry.client)
    wait = wait_for(queue, entry.client, reason_of(queue, lane, entry))
    return Place(
        position=position,
        namespace=pipeline.namespace,
        pipeline=pipeline.name,
        job=None if job is None else job.spec.name,
        jobs=entry.jobs,
        client=entry.client,
        key=_key(entry, lane.terms.priority if lane.terms is not None else None),
        reason=wait.reason,
        message=wait.message,
        since=datetime.fromtimestamp(entry.since, UTC),
    )


def _key(entry: Entry, client_priority: int | None) -> dict[str, int | str]:
    key = entry.key
    named: dict[str, int | str] = {}
    if entry.overdue is not None:
        named["overdueSince"] = datetime.fromtimestamp(entry.overdue, UTC).isoformat()
    elif client_priority is not None:
        named["clientPriority"] = client_priority
    return named | {
        "pipelinePriority": key.pipeline_priority,
        "stageIndex": key.stage_index,
        "jobPriority": key.priority,
        "acceptedTime": key.accepted,
        "index": key.place,
        "pipelineUid": key.uid,
    }
