"""Another run of a finished Pipeline: whether `spec.rerun` asks for one, what the run takes over, or why there is none.

An id that is not the one in the status asks for a run, whenever it was written: while a run goes on it waits for its
end, because nobody could tell afterwards which came first. A run of scope `Failed` takes over the DONE PipelineJobs of
the runs before it, down to the last run of scope `All`. They are the only memory of what is done, so once some of them
are gone such a run is refused: it would do work twice.
"""

from collections.abc import Iterable

from msgspec.structs import replace

from task_pipeline.api.pipeline import Rerun
from task_pipeline.api.reasons import Reason
from task_pipeline.api.states import State
from task_pipeline.core.conditions import CONDITION_MESSAGE, Situation, pipeline_conditions
from task_pipeline.core.records import JobRecord, Kept, PipelineRecord, PipelineStatus
from task_pipeline.core.rollup import Tally

REMOVED = "its PipelineJobs have been removed, so what is DONE is not known any more; use scope All"
ALL_DONE = "every job is DONE already; use scope All to run them again"


def wish(pipeline: PipelineRecord) -> Rerun | None:
    """The rerun that is asked for and was not answered yet."""
    rerun = None if pipeline.spec is None or pipeline.invalid else pipeline.spec.rerun
    return None if rerun is None or rerun.id == pipeline.status.rerun_id else rerun


def answer(pipeline: PipelineRecord, rerun: Rerun, tally: Tally, now: str, *, remnants: bool = False) -> PipelineStatus:
    """The status of a final Pipeline, with a spec, whose `rerun` is asked for at `now` (RFC 3339): that of the new run,
    or its last one with the reason why there is no new run. With `remnants` something of deleted PipelineJobs runs on.
    """
    spec, status = pipeline.spec, pipeline.status
    assert spec is not None
    if spec.cancel is not None:
        return _told(pipeline, f"rerun {rerun.id} waits until spec.cancel is removed")
    if remnants:
        return _told(pipeline, f"rerun {rerun.id} waits until the workloads of deleted PipelineJobs have ended")
    if rerun.scope == "All":
        return _begun(pipeline, rerun, None, now)
    counts = [tally.stage(index) for index in range(len(spec.stages))]
    done = tuple(count.done for count in counts)
    removed = any(left < stage.done for left, stage in zip(done, status.stages, strict=False))
    if removed or status.cleanup_time is not None or any(count.done < count.kept for count in counts):
        return replace(_told(pipeline, _refused(rerun, REMOVED)), rerun_id=rerun.id)
    if done == spec.stage_totals:
        return replace(_told(pipeline, _refused(rerun, ALL_DONE)), rerun_id=rerun.id)
    since = pipeline.run if status.kept is None else status.kept.since
    return _begun(pipeline, rerun, Kept(since=since, jobs=done), now)


def unasked(pipeline: PipelineRecord) -> PipelineStatus:
    """The status of a final Pipeline that asks for no rerun: its message is that of its end again, unless it says why
    the rerun that still stands in the spec was refused.
    """
    status = pipeline.status
    rerun = None if pipeline.spec is None else pipeline.spec.rerun
    message = status.message or ""
    said = next((one.message for one in status.conditions if one.type == "Succeeded"), message)
    refused = rerun is not None and message.startswith(_refused(rerun, ""))
    if refused or message[:CONDITION_MESSAGE] == said[:CONDITION_MESSAGE]:
        return status
    return _told(pipeline, said)


def kept_names(pipeline: PipelineRecord, jobs: Iterable[JobRecord]) -> frozenset[str]:
    """Names of those of the Pipeline's `jobs`, of all runs, that its current run has taken over."""
    kept = pipeline.status.kept
    if kept is None:
        return frozenset()
    return frozenset(
        job.spec.name
        for job in jobs
        if job.pipeline_uid == pipeline.uid
        and kept.since <= job.spec.run < pipeline.run
        and job.status.state is State.DONE
    )


def _refused(rerun: Rerun, why: str) -> str:
    return f"rerun {rerun.id} was refused: {why}"


def _told(pipeline: PipelineRecord, message: str) -> PipelineStatus:
    return replace(pipeline.status, message=message or None)


def _begun(pipeline: PipelineRecord, rerun: Rerun, kept: Kept | None, now: str) -> PipelineStatus:
    situation = Situation(State.READY, Reason.QUEUED, "", False, pipeline.generation, now)
    return PipelineStatus(
        observed_generation=pipeline.generation,
        state=State.READY,
        reason=Reason.QUEUED.value,
        run=pipeline.run + 1,
        rerun_id=rerun.id,
        kept=kept,
        accepted_time=now,
        conditions=pipeline_conditions(pipeline.status.conditions, situation),
    )
