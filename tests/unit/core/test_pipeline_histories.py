"""What holds for every Pipeline, whatever its jobs, its edits and its past: random facts, and whole random runs."""

from itertools import pairwise
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from msgspec.structs import replace

from task_pipeline.api.reasons import Reason
from task_pipeline.api.states import TERMINAL, State, job_may_move, pipeline_may_move
from task_pipeline.core.pipeline_decision import PipelineFacts, decide_pipeline
from task_pipeline.core.records import JobRecord, PipelineRecord, PipelineStatus
from task_pipeline.core.rollup import tally_of
from tests import make
from tests.unit.core import pipeline_builders as build

READY, RUNNING, DONE, ERROR, CANCELLED = State
KIB = 1024


def legal(old: PipelineStatus, new: PipelineStatus) -> bool:
    """Whether the API server takes the step."""
    return pipeline_may_move(old.state, new.state, started=old.start_time is not None or (old.run or 1) > 1)


def assert_times_move_with_statuses(old: PipelineStatus, new: PipelineStatus) -> None:
    before = {one.type: one for one in old.conditions}
    for one in new.conditions:
        if one.type in before and before[one.type].status == one.status:
            assert one.last_transition_time == before[one.type].last_transition_time


def assert_counts_add_up(status: PipelineStatus, totals: list[int]) -> None:
    for stage, total in zip(status.stages, totals, strict=True):
        counts = (stage.waiting, stage.running, stage.done, stage.failed, stage.cancelled)
        assert sum(counts) == stage.total == total
        assert min(counts) >= 0


@settings(max_examples=400, deadline=None)
@given(build.any_facts(), st.integers(0, 100))
def test_every_step_is_legal_and_the_same_facts_are_written_once(facts: PipelineFacts, seconds: int) -> None:
    path = build.settled(facts, make.moment(seconds))
    for old, new in pairwise(path):
        assert legal(old, new)
        assert_times_move_with_statuses(old, new)
        assert old.accepted_time == new.accepted_time
        assert old.start_time in (None, new.start_time)
        assert old.run is None or old.run == new.run
    if not facts.pipeline.deleting and facts.pipeline.status.observed_generation != -1:
        assert path[-1].observed_generation == facts.pipeline.generation


@settings(max_examples=400, deadline=None)
@given(build.any_facts(), st.integers(0, 100))
def test_what_a_decision_says_fits_together(facts: PipelineFacts, seconds: int) -> None:
    decision = decide_pipeline(facts, make.moment(seconds))
    status, tally = decision.status, facts.tally
    if status.stages:
        assert_counts_add_up(status, build.totals_of(facts))
        assert (status.completion_time is not None) == (status.state in TERMINAL)
        assert status.stage is None or status.state not in TERMINAL
        assert status.state not in TERMINAL or tally.unfinished == 0
    if decision.divide is not None:
        spec = facts.pipeline.spec
        assert spec is not None
        assert spec.cancel is None
        assert not spec.suspend
        assert status.state not in TERMINAL
        assert decision.divide > facts.divided
        for index in range(facts.divided + 1):
            stage = tally.stage(index)
            assert (stage.unfinished, stage.failures) == (0, 0)
    assert not decision.closing or tally.unfinished
    assert decision.wake is None or decision.wake > make.moment(seconds)


class Run(RuleBasedStateMachine):
    """One Pipeline from its first look on: jobs take legal steps, users edit, and the operator decides now and then."""

    def __init__(self) -> None:
        super().__init__()
        self.jobs: dict[int, JobRecord] = {}
        self.divided = -1
        self.seconds = 0.0
        self.ever_cancelled = False
        self.launched: set[int] = set()

    @initialize(fields=build.specs())
    def create(self, fields: dict[str, Any]) -> None:
        wishes = {key: value for key, value in fields.items() if key not in ("cancel", "suspend")}
        self.pipeline: PipelineRecord = make.pipeline(**wishes)

    def facts(self, fits: bool = True) -> PipelineFacts:
        tally = tally_of(self.jobs.values())
        return PipelineFacts(self.pipeline, tally, None, None, fits, build.QUEUED, make.at(-1), self.divided)

    @rule(fits=st.booleans())
    def decide(self, fits: bool) -> None:
        self.seconds += 1
        old = self.pipeline.status
        decision = decide_pipeline(self.facts(fits), make.moment(self.seconds))
        if decision.divide is not None:
            self.divide(decision.divide)
        self.pipeline = replace(self.pipeline, status=decision.status)
        assert legal(old, decision.status)
        assert_times_move_with_statuses(old, decision.status)
        if decision.status.state is DONE and old.state is not DONE:
            assert set(self.jobs) == self.launched, "DONE though a job was deleted by hand"
        if old.state in TERMINAL:
            assert decision.status.state is old.state
            assert decision.status.completion_time == old.completion_time
        if decision.status.stages:
            assert_counts_add_up(decision.status, build.totals_of(self.facts()))

    def divide(self, stage: int) -> None:
        """As the operator does it: everything before is over, and nothing is created twice."""
        assert self.pipeline.spec is not None
        assert not self.pipeline.spec.suspend
        assert self.pipeline.spec.cancel is None
        assert all(job.final for job in self.jobs.values())
        assert not any(job.status.state is ERROR and not job.spec.allow_failure for job in self.jobs.values()), (
            "the barrier opened over a failure"
        )
        name = self.pipeline.spec.stages[stage]
        for index, entry in enumerate(self.pipeline.spec.jobs):
            if entry.stage == name:
                assert index not in self.launched
                self.launched.add(index)
                self.jobs[index] = build.job_of(self.pipeline, index, READY, Reason.QUEUED)
        self.divided = stage

    @precondition(lambda self: self.jobs)
    @rule(pick=st.integers(0, 99), fate=build.fates)
    def move(self, pick: int, fate: tuple[State, Reason]) -> None:
        index = sorted(self.jobs)[pick % len(self.jobs)]
        job = self.jobs[index]
        if not job.final and job_may_move(job.status.state, fate[0]):
            started = job.status.start_time
            kept: dict[str, Any] = {} if started is None else {"start_time": started}
            self.jobs[index] = build.job_of(self.pipeline, index, *fate, **kept)
            self.ever_cancelled |= fate[1] is Reason.USER_CANCELLED  # and stays so if the job is deleted later

    @precondition(lambda self: self.jobs)
    @rule(pick=st.integers(0, 99), dice=st.integers(0, 5))
    def delete(self, pick: int, dice: int) -> None:
        if dice == 0:
            del self.jobs[sorted(self.jobs)[pick % len(self.jobs)]]

    @rule(suspend=st.booleans(), fail_fast=st.booleans(), cancel=st.sampled_from([None, None, None, "Now", "Drain"]))
    def edit(self, suspend: bool, fail_fast: bool, cancel: str | None) -> None:
        assert self.pipeline.spec is not None
        self.ever_cancelled |= cancel is not None
        fields = {"suspend": suspend, "fail_fast": fail_fast, "cancel": cancel}
        spec = self.pipeline.spec.model_copy(update=fields)
        self.pipeline = replace(self.pipeline, spec=spec, generation=self.pipeline.generation + 1)

    @invariant()
    def the_end_is_true(self) -> None:
        """Judged by what exists, in the words of the contract rather than of the code."""
        if not hasattr(self, "pipeline") or self.pipeline.status.state is not DONE:
            return
        assert self.pipeline.spec is not None
        assert self.launched == set(range(len(self.pipeline.spec.jobs)))
        assert all(job.status.state in (DONE, CANCELLED) or job.spec.allow_failure for job in self.jobs.values()), (
            "DONE in spite of a failure that counts"
        )

    def teardown(self) -> None:
        """Left alone, with every job ended, the run ends within as many looks as it has stages and steps."""
        if not hasattr(self, "pipeline"):
            return
        assert self.pipeline.spec is not None
        spec = self.pipeline.spec.model_copy(update={"suspend": False, "timeout": None})
        self.pipeline = replace(self.pipeline, spec=spec, generation=self.pipeline.generation + 1)
        for _ in range(2 * len(spec.stages) + 4):
            for index, job in self.jobs.items():
                if not job.final:
                    self.jobs[index] = build.job_of(self.pipeline, index, DONE, Reason.SUCCEEDED)
            self.decide(fits=True)
        assert self.pipeline.status.state in TERMINAL
        assert self.ever_cancelled or self.pipeline.status.reason != "UserCancelled"


Run.TestCase.settings = settings(max_examples=120, stateful_step_count=40, deadline=None)
TestRun = Run.TestCase


@pytest.mark.parametrize("state", [DONE, ERROR, CANCELLED, RUNNING, READY])
def test_the_largest_pipeline_stays_below_64_kib(state: State) -> None:
    stages = [f"{index:02}" + "\U0001f600" * 61 for index in range(64)]
    names = [f"{index:04}" + "n" * 59 for index in range(2000)]
    pipeline = make.pipeline(
        "p" * 63,
        [make.job_spec(name, stages[index % 64]) for index, name in enumerate(names)],
        stages=stages,
        cancel="Now",
    )
    jobs = [build.job_of(pipeline, index, state, Reason.USER_CANCELLED) for index in range(2000)]
    facts = PipelineFacts(pipeline, tally_of(jobs), None, None, True, build.QUEUED, make.at(-1), 63)
    status = build.settled(facts, make.moment(9))[-1]
    assert len(status.failed_jobs) == (20 if state is ERROR else 0)
    assert len(msgspec.json.encode(status)) <= 48 * KIB  # the rest is for metadata with its managedFields


def test_a_spec_with_the_most_faults_stays_below_64_kib() -> None:
    facts = PipelineFacts(
        make.pipeline(), tally_of([]), "\U0001f600" * 8_000, None, True, build.QUEUED, make.at(-1), -1
    )
    status = build.settled(facts, make.moment(9))[-1]
    assert (status.state, status.reason) == (ERROR, "InvalidSpec")
    assert len(msgspec.json.encode(status)) <= 56 * KIB
