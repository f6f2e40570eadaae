"""What to do about one Pipeline now: judge its spec, open its next stage, tell its state.

The outcome is one function of what has become of its jobs, asked only when nothing of it runs:
cancelled by the user > any failure that counts > DONE.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum

from msgspec.structs import replace

from task_pipeline.api.pipeline import PipelineSpec
from task_pipeline.api.reasons import Reason
from task_pipeline.api.states import TERMINAL, State
from task_pipeline.api.times import format_time
from task_pipeline.core.closing import Closing, of_pipeline
from task_pipeline.core.conditions import Situation, pipeline_conditions
from task_pipeline.core.deadlines import after, passed
from task_pipeline.core.records import PipelineRecord, PipelineStatus, StageStatus
from task_pipeline.core.rollup import LISTED_FAILURES, StageTally, Tally, stage_totals
from task_pipeline.core.stages import Barrier, judge


class Urgency(IntEnum):
    """How soon a changed status is written. NONE: nothing has changed."""

    NONE = 0
    LAZY = 1  # counts inside a stage
    SOON = 2  # accepted and waiting: a launch that follows at once shares the write
    NOW = 3  # a new state, stage or condition
    END = 4  # the end of a run: never held back


@dataclass(frozen=True, slots=True)
class PipelineFacts:
    """All that a decision about a Pipeline may know.

    `faults`: what is wrong with the spec, `refusal`: why its client does not take it (both None when fine); `fits`: the
    queue has room for its first stage; `accepted`: its acceptedTime, given by the caller when the status has none yet;
    `divided`: the last stage whose PipelineJobs have all been created (-1: none), which the status may not say yet.
    """

    pipeline: PipelineRecord
    tally: Tally
    faults: str | None
    refusal: str | None
    fits: bool
    accepted: str
    divided: int


@dataclass(frozen=True, slots=True)
class PipelineDecision:
    """`divide`: the stage whose PipelineJobs are to be created before the status is written. `wake`: look then.

    `closing`: jobs have to end from outside (cancel, deadline, a failure before them) and are to look at themselves.
    """

    status: PipelineStatus
    urgency: Urgency
    divide: int | None = None
    wake: datetime | None = None
    closing: bool = False


@dataclass(frozen=True, slots=True)
class _Verdict:
    state: State
    reason: Reason
    message: str


def decide_pipeline(facts: PipelineFacts, now: datetime) -> PipelineDecision:
    """The next step for the Pipeline. The status of the decision assumes that `divide` has been carried out."""
    pipeline = facts.pipeline
    old = pipeline.status
    if pipeline.deleting or (pipeline.final and not _may_be_judged_again(pipeline)):
        return _observed(pipeline)
    fault = _fault(facts)
    if fault is not None and old.start_time is None and not facts.tally.stages:
        invalid = _invalid(facts, fault, now)
        return PipelineDecision(invalid, _urgency(pipeline.status, invalid))
    if pipeline.spec is None:
        return _observed(pipeline)
    totals = stage_totals(pipeline.spec)
    barrier = judge(totals, facts.divided, facts.tally)
    closing = of_pipeline(pipeline, now)
    divide = barrier.divide if _may_divide(facts, barrier, closing) else None
    verdict = _verdict(facts, barrier, closing, divide)
    status = _status(facts, totals, barrier, verdict, now)
    deadline = after(status.start_time, pipeline.spec.timeout)
    return PipelineDecision(
        status,
        _urgency(pipeline.status, status),
        divide,
        wake=None if verdict.state in TERMINAL or passed(deadline, now) else deadline,
        closing=facts.tally.unfinished > 0 and (closing is not None or barrier.broken is not None),
    )


def _may_be_judged_again(pipeline: PipelineRecord) -> bool:
    """An invalid Pipeline that never started is judged again when its spec or its client has changed."""
    status = pipeline.status
    invalid = status.reason in (Reason.INVALID_SPEC, Reason.CLIENT_NOT_ALLOWED)
    return status.state is State.ERROR and invalid and status.start_time is None


def _observed(pipeline: PipelineRecord) -> PipelineDecision:
    """Nothing to decide; an edit of a finished Pipeline is only acknowledged."""
    status = pipeline.status
    if pipeline.deleting or status.observed_generation in (-1, pipeline.generation):
        return PipelineDecision(status, Urgency.NONE)
    return PipelineDecision(replace(status, observed_generation=pipeline.generation), Urgency.LAZY)


def _fault(facts: PipelineFacts) -> tuple[Reason, str] | None:
    if facts.faults is not None:
        return Reason.INVALID_SPEC, facts.faults
    if facts.refusal is not None:
        return Reason.CLIENT_NOT_ALLOWED, facts.refusal
    return None


def _may_divide(facts: PipelineFacts, barrier: Barrier, closing: Closing | None) -> bool:
    spec = facts.pipeline.spec
    if barrier.divide is None or closing is not None or spec is None or spec.suspend:
        return False
    first = facts.tally.first_start is None and not facts.tally.stages
    return facts.fits or not first


def _verdict(facts: PipelineFacts, barrier: Barrier, closing: Closing | None, divide: int | None) -> _Verdict:
    spec, old = facts.pipeline.spec, facts.pipeline.status
    assert spec is not None
    over = barrier.open == len(spec.stages)
    if facts.tally.unfinished == 0 and divide is None and (over or closing is not None):
        return _outcome(facts, barrier, closing)
    if facts.tally.running and closing is not None:
        return _Verdict(State.IN_PROGRESS, Reason.STOPPING, closing.message)
    if facts.tally.started or old.state is State.IN_PROGRESS:
        if spec.suspend:
            return _Verdict(State.IN_PROGRESS, Reason.SUSPENDED, "spec.suspend is true: nothing more is started")
        return _Verdict(State.IN_PROGRESS, Reason.STAGE_RUNNING, "")
    if spec.suspend:
        return _Verdict(State.READY, Reason.SUSPENDED, "spec.suspend is true: nothing is started")
    if barrier.divide is not None and divide is None and closing is None:
        return _Verdict(State.READY, Reason.QUEUE_FULL, "the queue has no room for the first stage")
    return _Verdict(State.READY, Reason.QUEUED, "")


def _outcome(facts: PipelineFacts, barrier: Barrier, closing: Closing | None) -> _Verdict:
    """How a run ends whose jobs are all final."""
    tally, spec = facts.tally, facts.pipeline.spec
    assert spec is not None
    incomplete = barrier.open < len(spec.stages)
    by_user = any(stage.user_cancelled for stage in tally.stages.values())
    if by_user or (incomplete and closing is not None and closing.reason is Reason.USER_CANCELLED):
        return _Verdict(State.CANCELLED, Reason.USER_CANCELLED, _cancel_message(closing))
    if closing is not None and closing.reason is Reason.DEADLINE_EXCEEDED and (incomplete or _has_cancelled(tally)):
        return _Verdict(State.ERROR, Reason.DEADLINE_EXCEEDED, closing.message)
    if barrier.broken is not None:
        return _Verdict(State.ERROR, *_failure(spec, barrier, tally))
    warnings = _warnings(tally)
    if warnings:
        return _Verdict(State.DONE, Reason.SUCCEEDED_WITH_WARNINGS, f"{warnings} failed that were allowed to")
    return _Verdict(State.DONE, Reason.SUCCEEDED, "")


def _cancel_message(closing: Closing | None) -> str:
    return closing.message if closing is not None else "a job was cancelled by the user"


def _has_cancelled(tally: Tally) -> bool:
    return any(stage.cancelled for stage in tally.stages.values())


def _warnings(tally: Tally) -> int:
    return sum(stage.allowed for stage in tally.stages.values())


def _failure(spec: PipelineSpec, barrier: Barrier, tally: Tally) -> tuple[Reason, str]:
    assert barrier.broken is not None
    stage = spec.stages[barrier.broken]
    if barrier.deleted:
        return Reason.JOB_DELETED, f"{barrier.deleted} PipelineJobs were deleted by hand"
    names = list(tally.failed_jobs)
    shown = ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
    return (
        Reason.JOB_FAILED,
        f"failed in stage {stage}: {shown}" if shown else f"a job of stage {stage} failed",
    )


def _invalid(facts: PipelineFacts, fault: tuple[Reason, str], now: datetime) -> PipelineStatus:
    reason, message = fault
    pipeline = facts.pipeline
    moment = format_time(now)
    situation = Situation(State.ERROR, reason, message[:1024], False, True, pipeline.generation, moment)
    old = pipeline.status
    same = old.state is State.ERROR and old.message == message and old.observed_generation == pipeline.generation
    return PipelineStatus(
        observed_generation=pipeline.generation,
        state=State.ERROR,
        reason=reason.value,
        message=message,
        run=pipeline.run,
        accepted_time=old.accepted_time,
        completion_time=old.completion_time if same else moment,
        conditions=pipeline_conditions(old.conditions, situation),
    )


def _status(
    facts: PipelineFacts, totals: list[int], barrier: Barrier, verdict: _Verdict, now: datetime
) -> PipelineStatus:
    pipeline, tally = facts.pipeline, facts.tally
    spec = pipeline.spec
    assert spec is not None
    old = pipeline.status
    moment = format_time(now)
    final = verdict.state in TERMINAL
    if verdict.state is State.DONE and old.state is State.READY:  # the state machine has no edge from READY to DONE
        verdict, final = _Verdict(State.IN_PROGRESS, Reason.STAGE_RUNNING, ""), False
    stages = tuple(
        _stage(spec.stages[index], total, index, facts, barrier, final) for index, total in enumerate(totals)
    )
    finished = sum(stage.done + stage.failed + stage.cancelled for stage in stages)
    open_stage = spec.stages[barrier.open] if barrier.open < len(totals) and not final else None
    message = verdict.message or _stage_message(stages, open_stage)
    situation = Situation(
        verdict.state,
        verdict.reason,
        verdict.message[:1024],
        spec.suspend,
        False,
        pipeline.generation,
        moment,
    )
    started = old.start_time or tally.first_start
    return PipelineStatus(
        observed_generation=pipeline.generation,
        state=verdict.state,
        reason=verdict.reason.value,
        message=message or None,
        run=pipeline.run,
        stage=open_stage,
        stages=stages,
        progress=f"{finished}/{sum(totals)}",
        warnings=_warnings(tally) or None,
        failed_jobs=tuple(tally.failed_jobs)[:LISTED_FAILURES],
        divided=facts.divided if facts.divided >= 0 else None,
        rerun_id=old.rerun_id,
        accepted_time=old.accepted_time or facts.accepted,
        start_time=started,
        completion_time=moment if final else None,
        conditions=pipeline_conditions(old.conditions, situation),
    )


def _stage(name: str, total: int, index: int, facts: PipelineFacts, barrier: Barrier, final: bool) -> StageStatus:
    tally = facts.tally.stage(index)
    missing = max(0, total - tally.existing)
    deleted = missing if index <= facts.divided else 0
    never = missing if final and not deleted else 0
    waiting = tally.waiting if deleted or never else total - tally.existing + tally.waiting
    failed, cancelled = tally.failed + deleted, tally.cancelled + never
    state = _stage_state(tally, waiting, failures=tally.failures + deleted, cancelled=cancelled)
    if total == 0:
        state = State.DONE if index < barrier.open and barrier.broken is None else State.READY
    return StageStatus(
        name=name,
        state=state,
        total=total,
        waiting=waiting,
        running=tally.running,
        done=tally.done,
        failed=failed,
        cancelled=cancelled,
    )


def _stage_state(tally: StageTally, waiting: int, *, failures: int, cancelled: int) -> State:
    if tally.running or (waiting and (tally.done or tally.failed)):
        return State.IN_PROGRESS
    if waiting:
        return State.READY
    if failures:
        return State.ERROR
    return State.CANCELLED if cancelled else State.DONE


def _stage_message(stages: tuple[StageStatus, ...], name: str | None) -> str:
    stage = next((stage for stage in stages if stage.name == name), None)
    if stage is None:
        return ""
    finished = stage.done + stage.failed + stage.cancelled
    return f"stage {stage.name}, {finished} of {stage.total} jobs done"


def _urgency(old: PipelineStatus, new: PipelineStatus) -> Urgency:
    if old == new:
        return Urgency.NONE
    if new.state in TERMINAL and old.state is not new.state:
        return Urgency.END
    if (old.state, old.reason, old.stage, old.run) != (new.state, new.reason, new.stage, new.run):
        return Urgency.SOON if new.state is State.READY else Urgency.NOW
    if [(c.type, c.status) for c in old.conditions] != [(c.type, c.status) for c in new.conditions]:
        return Urgency.NOW
    return Urgency.SOON if old.observed_generation != new.observed_generation else Urgency.LAZY
