"""From records to the queue: the entry of a job, of a Pipeline, and the terms of a client.

The operator's scheduler and whoever explains the order build entries here, so both have the same order.
"""

from collections.abc import Collection

from task_pipeline.api.reasons import Reason
from task_pipeline.api.times import parse_time
from task_pipeline.core.lane import Entry, Terms
from task_pipeline.core.naming import job_hash
from task_pipeline.core.ordering import OrderKey
from task_pipeline.core.records import ClientRecord, JobRecord, PipelineRecord


def terms_of(client: ClientRecord | None) -> Terms | None:
    """What the client is granted; None when it does not exist or is invalid."""
    if client is None or not client.valid:
        return None
    return Terms(
        priority=client.priority,
        limit=client.max_running_jobs,
        queue_size=client.queue_size,
        suspended=client.suspend,
        max_wait=client.max_wait_seconds,
    )


def job_entry(job: JobRecord, pipeline: PipelineRecord | None, accepted: str, *, held: bool = False) -> Entry:
    """The entry of a PipelineJob; `accepted` is the acceptedTime of its Pipeline.

    The Pipeline's priority is read where users edit it, in the Pipeline. A job of the first stage waits since its
    Pipeline does, a later one since it was created itself, and one that is tried again since it may be.
    """
    spec = None if pipeline is None else pipeline.spec
    key = OrderKey(
        job.spec.pipeline_priority if spec is None else spec.priority,
        job.spec.stage_index,
        job.spec.priority,
        accepted,
        job.spec.index,
        job.pipeline_uid,
    )
    since = waits_since(job, pipeline, accepted)
    return Entry(job.hash, job.spec.client_id, key, since, job.status.reason, held=held)


def waits_since(job: JobRecord, pipeline: PipelineRecord | None, accepted: str) -> float:
    """Seconds of the epoch from which the wait of a PipelineJob counts; as in `job_entry`."""
    return _seconds(job.status.next_attempt_time or _opened(job, pipeline, accepted))


def held_since(job: JobRecord, pipeline: PipelineRecord | None, accepted: str) -> float:
    """Seconds of the epoch from which a PipelineJob waits that a quota holds back: since its last attempt ended, if
    there was one. Its pauses, after each of which `waits_since` counts anew, are part of this wait.
    """
    ended = [one.completion_time for one in job.status.attempts if one.completion_time is not None]
    return _seconds(ended[-1] if ended else _opened(job, pipeline, accepted))


def pipeline_entry(pipeline: PipelineRecord, accepted: str, kept: Collection[str] = frozenset()) -> Entry:
    """The entry of a whole Pipeline with a spec, at the place of the best job of its first stage."""
    first = stage_entries(pipeline, pipeline.first_stage, accepted, 0.0, kept)
    best = min(entry.key for entry in first)
    return Entry(
        pipeline.uid,
        first[0].client,
        best,
        _seconds(_waits_since(pipeline, accepted)),
        pipeline.status.reason or "",
        jobs=len(first),
        is_pipeline=True,
    )


def stage_entries(
    pipeline: PipelineRecord, stage: int, accepted: str, now: float, kept: Collection[str] = frozenset()
) -> list[Entry]:
    """The entries of the jobs of stage number `stage` of a Pipeline with a spec, before their PipelineJobs exist.

    Those that the run has `kept`, by name, have none.
    """
    spec = pipeline.spec
    assert spec is not None
    is_first = stage == pipeline.first_stage
    # A creationTimestamp has whole seconds.
    since = _seconds(_waits_since(pipeline, accepted)) if is_first else float(int(now))
    return [
        Entry(
            job_hash(pipeline.uid, pipeline.run, job.name),
            spec.client_id,
            OrderKey(spec.priority, stage, job.effective_priority, accepted, index, pipeline.uid),
            since,
            Reason.QUEUED.value,
        )
        for index, job in enumerate(spec.jobs)
        if job.stage == spec.stages[stage] and job.name not in kept
    ]


def _opened(job: JobRecord, pipeline: PipelineRecord | None, accepted: str) -> str:
    """Since when its first attempt could have been launched."""
    if (
        pipeline is not None
        and pipeline.spec is not None
        and job.spec.run == pipeline.run
        and job.spec.stage_index == pipeline.first_stage
    ):
        return _waits_since(pipeline, accepted)
    return job.created


def _waits_since(pipeline: PipelineRecord, accepted: str) -> str:
    """Since when its first jobs wait: its creation, or the moment at which another run was asked for."""
    return pipeline.created if pipeline.run == 1 else accepted


def _seconds(moment: str) -> float:
    return parse_time(moment).timestamp()
