"""What is remembered of what is over: as little as can still be asked for.

Finished objects outnumber all others, since they stay until their time to live has passed. Of a final PipelineJob only
what it counts as is needed, of a final Pipeline all but its jobs. Texts that many of them share are kept once.
"""

from sys import intern

from msgspec import Raw
from msgspec.structs import replace

from task_pipeline.core.records import Condition, JobRecord, JobStatus, PipelineRecord, PipelineStatus

_NO_PARAMS = Raw(b"{}")


def slim_job(job: JobRecord, *, ends: bool = False) -> JobRecord:
    """`job` as it is remembered: a final one without params, attempts and words, and of its workload only the UID.

    `ends`: with the time of its end, which only traces ask for.
    """
    if not job.final:
        return job
    spec, status = job.spec, job.status
    return replace(
        job,
        pipeline_uid=intern(job.pipeline_uid),
        created=intern(job.created),
        spec=replace(
            spec,
            pipeline=intern(spec.pipeline),
            name=intern(spec.name),
            stage=intern(spec.stage),
            client_id=intern(spec.client_id),
            kind=intern(spec.kind),
            version=intern(spec.version),
            params=_NO_PARAMS,
        ),
        status=JobStatus(
            state=status.state,
            reason=intern(status.reason),
            attempt=status.attempt,
            workload=None if status.workload is None else replace(status.workload, kind="", name=""),
            start_time=status.start_time,
            completion_time=status.completion_time if ends else None,
        ),
    )


def slim_pipeline(pipeline: PipelineRecord) -> PipelineRecord:
    """`pipeline` as it is remembered: a final one that may only run again, or be cleaned up, without its jobs."""
    spec = pipeline.spec
    if spec is None or pipeline.slim or not pipeline.final or pipeline.invalid:
        return pipeline
    counted = spec.stage_totals  # made from the jobs, and part of the copy from now on
    lean = spec.model_copy(update={"jobs": (), "stages": tuple(map(intern, spec.stages))})
    assert lean.stage_totals == counted
    return replace(pipeline, spec=lean, status=_slim_status(pipeline.status), slim=True)


def _slim_status(status: PipelineStatus) -> PipelineStatus:
    return replace(
        status,
        stages=tuple(replace(stage, name=intern(stage.name)) for stage in status.stages),
        conditions=tuple(_slim_condition(condition) for condition in status.conditions),
    )


def _slim_condition(condition: Condition) -> Condition:
    return replace(
        condition,
        type=intern(condition.type),
        status=intern(condition.status),
        reason=intern(condition.reason),
        message=intern(condition.message),
        last_transition_time=intern(condition.last_transition_time),
    )
