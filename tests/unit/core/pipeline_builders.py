"""Builders for random Pipelines: specs of any shape, jobs in any state, statuses that such jobs might have led to.

Rule: what is built may be unlikely but never breaks the API's own rules (unique names, jobs of known stages).
"""

from datetime import datetime
from typing import Any

from hypothesis import strategies as st
from msgspec.structs import replace

from task_pipeline.api.reasons import Reason
from task_pipeline.api.states import State
from task_pipeline.core.conditions import Situation, pipeline_conditions
from task_pipeline.core.pipeline_decision import PipelineDecision, PipelineFacts, Urgency, decide_pipeline
from task_pipeline.core.records import JobRecord, PipelineRecord, PipelineStatus
from task_pipeline.core.rollup import tally_of
from task_pipeline.core.waiting import Wait
from tests import make

QUEUED = Wait(Reason.QUEUED, None)
_ENDS = {
    State.DONE: [Reason.SUCCEEDED],
    State.ERROR: [Reason.EXIT_CODE, Reason.TIMEOUT],
    State.CANCELLED: [
        Reason.USER_CANCELLED, Reason.QUEUE_TIMEOUT, Reason.UPSTREAM_FAILED, Reason.FAIL_FAST, Reason.DEADLINE_EXCEEDED,
    ],
    State.READY: [Reason.QUEUED, Reason.RETRY_BACKOFF, Reason.STOPPING],
    State.IN_PROGRESS: [Reason.RUNNING, Reason.STOPPING],
}  # fmt: skip
fates = st.sampled_from([(state, reason) for state, reasons in _ENDS.items() for reason in reasons])
_mostly_done = st.just((State.DONE, Reason.SUCCEEDED)) | fates  # else hardly any next stage would open


@st.composite
def specs(draw: st.DrawFn) -> dict[str, Any]:
    """Fields for `make.pipeline`: one to four stages, some of them empty, at least one job."""
    names = [f"s{index}" for index in range(draw(st.integers(1, 4)))]
    stages = draw(st.lists(st.sampled_from(names), min_size=1, max_size=6))
    jobs = [
        make.job_spec(f"j{index}", stage, allowFailure=draw(st.booleans()))
        for index, stage in enumerate(sorted(stages))
    ]
    wishes: dict[str, Any] = {"suspend": draw(st.booleans()), "failFast": draw(st.booleans())}
    if cancel := draw(st.sampled_from([None, None, None, None, "Now", "Drain"])):
        wishes["cancel"] = cancel
    if timeout := draw(st.sampled_from([None, None, 5, 50])):
        wishes["timeout"] = timeout
    return {"jobs": jobs, "stages": names, **wishes}


def job_of(pipeline: PipelineRecord, index: int, state: State, reason: Reason, **fields: Any) -> JobRecord:
    """The PipelineJob of `spec.jobs[index]`; a state that needs a launch has a startTime."""
    assert pipeline.spec is not None
    entry = pipeline.spec.jobs[index]
    if state in (State.IN_PROGRESS, State.DONE, State.ERROR) or reason is Reason.STOPPING:
        fields = {"start_time": make.at(index), "attempt": 1} | fields
    return make.job(
        entry.name, index=index, stage=entry.stage, stage_index=pipeline.spec.stages.index(entry.stage),
        allow_failure=entry.allow_failure, run=pipeline.run, state=state, reason=reason.value, **fields,
    )  # fmt: skip


@st.composite
def statuses(draw: st.DrawFn) -> PipelineStatus:
    """A status with any state and reason, and the conditions that belong to them."""
    state, reason = draw(st.sampled_from([*State, State.READY, State.IN_PROGRESS])), draw(st.sampled_from(Reason))
    invalid = state is State.ERROR and reason in (Reason.INVALID_SPEC, Reason.CLIENT_NOT_ALLOWED)
    start = draw(st.none() | st.integers(0, 20).map(make.at))
    if state in (State.IN_PROGRESS, State.DONE):
        start = start or make.at(0)
    return PipelineStatus(
        observed_generation=draw(st.integers(-1, 2)),
        state=state,
        reason=reason.value,
        run=draw(st.none() | st.integers(1, 2)),
        accepted_time=make.at(-1),
        start_time=None if invalid else start,
        conditions=pipeline_conditions((), Situation(state, reason, "", invalid, 1, make.at(0))),
    )


@st.composite
def any_facts(draw: st.DrawFn) -> PipelineFacts:
    """Facts about any Pipeline: some jobs of the stages created so far are missing, some of a later stage exist."""
    pipeline = make.pipeline(
        **draw(specs()), status=draw(statuses()), generation=draw(st.integers(1, 3)),
        deleting=draw(st.integers(0, 19)) == 13,
    )  # fmt: skip
    assert pipeline.spec is not None
    divided = draw(st.integers(-1, len(pipeline.spec.stages) - 1))
    indices = [
        index for index, job in enumerate(pipeline.spec.jobs)
        if pipeline.spec.stages.index(job.stage) <= divided + draw(st.sampled_from([0, 0, 1]))
        and draw(st.integers(0, 9)) != 7
    ]  # fmt: skip
    return PipelineFacts(
        pipeline=pipeline,
        tally=tally_of(job_of(pipeline, index, *draw(_mostly_done)) for index in indices),
        faults=draw(st.sampled_from([*[None] * 7, "spec.jobs[0].kind: there is no kind Nope"])),
        refusal=draw(st.sampled_from([*[None] * 7, "spec.clientId: there is no PipelineClient x"])),
        fits=draw(st.booleans()),
        wait=draw(st.sampled_from([QUEUED, Wait(Reason.CLIENT_LIMIT, "client default 3/3 running")])),
        accepted=make.at(-1),
        divided=divided,
    )


def written(facts: PipelineFacts, now: datetime) -> tuple[PipelineFacts, PipelineDecision]:
    """The decision, and the facts once its status has been written; `divide` is not carried out."""
    decision = decide_pipeline(facts, now)
    pipeline = replace(facts.pipeline, status=decision.status)
    return PipelineFacts(
        pipeline, facts.tally, facts.faults, facts.refusal, facts.fits, facts.wait, facts.accepted, facts.divided
    ), decision


def settled(facts: PipelineFacts, now: datetime) -> list[PipelineStatus]:
    """Every status on the way until nothing more is written; fails when that takes more than three writes."""
    path = [facts.pipeline.status]
    for _ in range(4):
        facts, decision = written(facts, now)
        if decision.urgency is Urgency.NONE:
            return path
        path.append(decision.status)
    raise AssertionError(f"still writing: {path}")


def totals_of(facts: PipelineFacts) -> list[int]:
    """How many jobs each stage of the spec has."""
    assert facts.pipeline.spec is not None
    return list(facts.pipeline.spec.stage_totals)
