"""What to do about one Pipeline now: judge its spec, open its next stage, tell its state.

A decision is made from facts alone, and the same facts give the same status, so that looking twice writes once. A
status whose state has no edge from the present one is reached by the state between, at the next look.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum
from math import inf

from task_pipeline.api.pipeline import PipelineSpec
from task_pipeline.api.reasons import Reason
from task_pipeline.api.states import TERMINAL, State, pipeline_may_move
from task_pipeline.api.times import format_time
from task_pipeline.core.closing import Closing, Pressure, of_pipeline, pressure
from task_pipeline.core.conditions import CONDITION_MESSAGE, Situation, pipeline_conditions
from task_pipeline.core.deadlines import after, passed
from task_pipeline.core.finished import Cleanup, acknowledged, afterwards
from task_pipeline.core.outcome import ending_of, outcome
from task_pipeline.core.records import PipelineRecord, PipelineStatus, StageStatus
from task_pipeline.core.rollup import Tally
from task_pipeline.core.stages import Barrier, judge, stage_status
from task_pipeline.core.waiting import Wait

NAMED_FAILURES = 5  # in the message of a run that failed


class Urgency(IntEnum):
    """How soon a changed status is written. NONE: nothing has changed."""

    NONE = 0
    LAZY = 1  # counts inside a stage
    WAIT = 2  # only the reason for the wait: the budget for those decides
    SOON = 3  # accepted and waiting: a launch that follows at once shares the write
    NOW = 4  # a new state, stage or condition
    END = 5  # the end of a run: never held back


@dataclass(frozen=True, slots=True)
class PipelineFacts:
    """All that a decision about a Pipeline may know.

    `faults`: what is wrong with the spec, `refusal`: why its client does not take it (both None when fine); `fits`: the
    queue has room for its first stage; `wait`: why it waits, while it is READY; `accepted`: its acceptedTime, given by
    the caller when the status has none yet; `divided`: the last stage whose PipelineJobs have all been created (-1:
    none), which the status may not say yet; `jobs`: it has PipelineJobs, of whichever run; `remnants`: something of
    deleted ones runs on; `ttl`: the seconds after the end in which a Pipeline that names none is cleaned up;
    `hindrance`: why the next stage cannot be divided now.
    """

    pipeline: PipelineRecord
    tally: Tally
    faults: str | None
    refusal: str | None
    fits: bool
    wait: Wait
    accepted: str
    divided: int
    jobs: bool = False
    remnants: bool = False
    ttl: float = inf
    hindrance: str = ""


@dataclass(frozen=True, slots=True)
class PipelineDecision:
    """`divide`: the stage whose PipelineJobs are to be created before the status is written. `wake`: look then.

    `closing`: jobs have to end from outside (cancel, deadline, a failure before them); whenever it has changed they are
    to look at themselves.
    `cleanup`: what is to be removed, the end having been long ago.
    """

    status: PipelineStatus
    urgency: Urgency
    divide: int | None = None
    wake: datetime | None = None
    closing: Pressure | None = None
    cleanup: Cleanup = Cleanup.NONE


@dataclass(frozen=True, slots=True)
class _Verdict:
    state: State
    reason: Reason
    message: str


def decide_pipeline(facts: PipelineFacts, now: datetime) -> PipelineDecision:
    """The next step for the Pipeline. The status of the decision assumes that `divide` has been carried out."""
    pipeline = facts.pipeline
    old = pipeline.status
    if pipeline.deleting:
        return PipelineDecision(old, Urgency.NONE)
    if pipeline.final and not pipeline.invalid:
        return _afterwards(facts, now)
    fault = _fault(facts)
    if fault is not None and old.start_time is None and facts.tally.untouched:
        invalid = _invalid(pipeline, fault, now)
        return _afterwards(facts, now) if invalid == old else PipelineDecision(invalid, _urgency(old, invalid))
    if pipeline.spec is None:
        seen = acknowledged(pipeline)
        return PipelineDecision(seen, _urgency(old, seen))
    totals = pipeline.spec.stage_totals
    barrier = judge(totals, facts.divided, facts.tally)
    closing = of_pipeline(pipeline, now)
    divide = barrier.divide if _may_divide(facts, barrier, closing) else None
    wanted = _verdict(facts, barrier, closing, divide)
    verdict = _reachable(pipeline, wanted)
    status = _status(facts, totals, barrier, verdict, now)
    deadline = after(status.start_time, pipeline.spec.timeout)
    return PipelineDecision(
        status,
        Urgency.END if wanted.state in TERMINAL and verdict is not wanted else _urgency(old, status),
        divide,
        wake=None if verdict.state in TERMINAL or passed(deadline, now) else deadline,
        closing=pressure(closing, barrier) if facts.tally.unfinished else None,
    )


def _reachable(pipeline: PipelineRecord, verdict: _Verdict) -> _Verdict:
    old = pipeline.status.state
    if pipeline_may_move(old, verdict.state, started=pipeline.started):
        return verdict
    if old is State.READY:  # all was through before its start was written
        return _Verdict(State.IN_PROGRESS, Reason.STAGE_RUNNING, "")
    return _Verdict(State.READY, Reason.QUEUED, "")  # a repaired spec is first of all one that waits


def _afterwards(facts: PipelineFacts, now: datetime) -> PipelineDecision:
    pipeline = facts.pipeline
    then = afterwards(pipeline, facts.tally, jobs=facts.jobs, remnants=facts.remnants, ttl=facts.ttl, now=now)
    return PipelineDecision(then.status, _urgency(pipeline.status, then.status), wake=then.wake, cleanup=then.cleanup)


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
    return facts.fits or not facts.tally.untouched


def _verdict(facts: PipelineFacts, barrier: Barrier, closing: Closing | None, divide: int | None) -> _Verdict:
    spec, tally = facts.pipeline.spec, facts.tally
    assert spec is not None
    through = barrier.open == len(spec.stages)
    if tally.unfinished == 0 and divide is None and (through or closing is not None):
        return _outcome(facts, barrier, closing)
    started = tally.started or facts.pipeline.status.state is State.IN_PROGRESS
    state = State.IN_PROGRESS if started else State.READY
    if closing is not None:
        return _Verdict(state, Reason.STOPPING, closing.message)
    if spec.suspend:
        return _Verdict(state, Reason.SUSPENDED, "spec.suspend is true: nothing more is started")
    if started:
        return _Verdict(state, Reason.STAGE_RUNNING, facts.hindrance)
    return _Verdict(state, facts.wait.reason, facts.wait.message or "")


def _outcome(facts: PipelineFacts, barrier: Barrier, closing: Closing | None) -> _Verdict:
    spec, tally = facts.pipeline.spec, facts.tally
    assert spec is not None
    state, reason = outcome(ending_of(spec.stage_totals, facts.divided, tally, barrier, closing))
    match reason:
        case Reason.USER_CANCELLED | Reason.DEADLINE_EXCEEDED if closing is not None and closing.reason is reason:
            message = closing.message
        case Reason.USER_CANCELLED:
            message = "jobs were cancelled"
        case Reason.DEADLINE_EXCEEDED:
            message = "the Pipeline's timeout ended jobs"
        case Reason.JOB_DELETED:
            message = f"{barrier.deleted} PipelineJobs were deleted by hand"
        case Reason.JOB_FAILED:
            message = _failures(spec, barrier, tally)
        case Reason.SUCCEEDED_WITH_WARNINGS:
            message = f"{tally.total('allowed')} failed that were allowed to"
        case _:
            message = ""
    return _Verdict(state, reason, message)


def _failures(spec: PipelineSpec, barrier: Barrier, tally: Tally) -> str:
    assert barrier.broken is not None
    count = tally.total("failures")
    shown = ", ".join(tally.failed_names(min(count, NAMED_FAILURES)))
    more = f" and {count - NAMED_FAILURES} more" if count > NAMED_FAILURES else ""
    return f"failed in stage {spec.stages[barrier.broken]}: {shown}{more}"


def _invalid(pipeline: PipelineRecord, fault: tuple[Reason, str], now: datetime) -> PipelineStatus:
    reason, message = fault
    moment = format_time(now)
    situation = Situation(State.ERROR, reason, message[:CONDITION_MESSAGE], True, pipeline.generation, moment)
    old = pipeline.status
    same = old.state is State.ERROR and old.message == message and old.observed_generation == pipeline.generation
    return PipelineStatus(
        observed_generation=pipeline.generation,
        state=State.ERROR,
        reason=reason.value,
        message=message,
        run=pipeline.run,
        rerun_id=old.rerun_id,
        kept=old.kept,
        accepted_time=old.accepted_time,
        completion_time=old.completion_time if same else moment,
        conditions=pipeline_conditions(old.conditions, situation),
    )


def _status(
    facts: PipelineFacts, totals: Sequence[int], barrier: Barrier, verdict: _Verdict, now: datetime
) -> PipelineStatus:
    pipeline, tally, old = facts.pipeline, facts.tally, facts.pipeline.status
    spec = pipeline.spec
    assert spec is not None
    names, moment, final = spec.stages, format_time(now), verdict.state in TERMINAL
    stages = _stages(facts, totals, barrier, final)
    open_stage = names[barrier.open] if barrier.open < len(names) and not final else None
    message = verdict.message[:CONDITION_MESSAGE]
    situation = Situation(verdict.state, verdict.reason, message, False, pipeline.generation, moment)
    return PipelineStatus(
        observed_generation=pipeline.generation,
        state=verdict.state,
        reason=verdict.reason.value,
        message=verdict.message or _stage_message(stages, open_stage) or None,
        run=pipeline.run,
        stage=open_stage,
        stages=stages,
        progress=f"{sum(map(_finished, stages))}/{sum(stage.total for stage in stages)}",
        warnings=tally.total("allowed") or None,
        failed_jobs=tally.failed_names(),
        divided=facts.divided if facts.divided >= 0 else None,
        rerun_id=old.rerun_id if old.accepted_time is not None or spec.rerun is None else spec.rerun.id,
        kept=old.kept,
        accepted_time=old.accepted_time or facts.accepted,
        start_time=old.start_time or tally.first_start,
        completion_time=moment if final else None,
        conditions=pipeline_conditions(old.conditions, situation),
    )


def _stages(facts: PipelineFacts, totals: Sequence[int], barrier: Barrier, over: bool) -> tuple[StageStatus, ...]:
    assert facts.pipeline.spec is not None
    reached = barrier.open if barrier.broken is None else barrier.broken
    return tuple(
        stage_status(
            name,
            total,
            facts.tally.stage(index),
            created=index <= facts.divided,
            over=over,
            reached=index < reached,
        )
        for index, (name, total) in enumerate(zip(facts.pipeline.spec.stages, totals, strict=True))
    )


def _finished(stage: StageStatus) -> int:
    return stage.done + stage.failed + stage.cancelled


def _stage_message(stages: tuple[StageStatus, ...], name: str | None) -> str:
    stage = next((stage for stage in stages if stage.name == name), None)
    if stage is None:
        return ""
    return f"stage {stage.name}, {_finished(stage)} of {stage.total} jobs done"


def _urgency(old: PipelineStatus, new: PipelineStatus) -> Urgency:
    if old == new:
        return Urgency.NONE
    if new.state in TERMINAL and old.state is not new.state:
        return Urgency.END
    if _waits_on(old, new):
        return Urgency.WAIT
    if (old.run or 1) != new.run:
        return Urgency.NOW
    if (old.state, old.reason, old.stage) != (new.state, new.reason, new.stage):
        return Urgency.SOON if new.state is State.READY else Urgency.NOW
    if [(c.type, c.status) for c in old.conditions] != [(c.type, c.status) for c in new.conditions]:
        return Urgency.NOW
    return Urgency.SOON if old.observed_generation != new.observed_generation else Urgency.LAZY


def _waits_on(old: PipelineStatus, new: PipelineStatus) -> bool:
    """Whether an accepted Pipeline waits as before, at most for another reason."""
    if old.accepted_time is None or old.observed_generation != new.observed_generation or old.state is not new.state:
        return False
    return new.state is State.READY and [c.type for c in old.conditions] == [c.type for c in new.conditions]
