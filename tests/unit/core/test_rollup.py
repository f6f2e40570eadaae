"""Counts of a Pipeline's jobs: kept up to date, they say what counting afresh says, whatever has happened."""

from dataclasses import asdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from task_pipeline.api.reasons import Reason
from task_pipeline.api.states import State
from task_pipeline.core.records import JobRecord
from task_pipeline.core.rollup import StageTally, Tally, tally_of
from tests import make

READY, RUNNING, DONE, ERROR, CANCELLED = State

looks = st.builds(
    lambda index, **fields: make.job(f"j{index}", index=index, stage_index=index % 3, **fields),
    st.integers(0, 5),
    state=st.sampled_from(State),
    reason=st.sampled_from(Reason).map(str),
    allow_failure=st.booleans(),
    start_time=st.none() | st.integers(0, 100).map(make.at),
)
changes = st.lists(st.tuples(looks, st.booleans()), max_size=40)


@given(changes)
def test_counts_that_are_kept_up_to_date_are_the_counts(history: list[tuple[JobRecord, bool]]) -> None:
    tally, jobs, starts = Tally(), dict[str, JobRecord](), list[str]()
    for look, exists in history:
        before = jobs.pop(look.uid, None)
        if before is not None:
            tally.count(before, -1)
        if exists:
            jobs[look.uid] = look
            tally.count(look, 1)
            starts += [look.status.start_time] if look.status.start_time else []
        afresh = tally_of(jobs.values())
        assert tally.stages == afresh.stages
        assert tally.failed_jobs == afresh.failed_jobs
        assert tally.failed_names() == afresh.failed_names()
        assert tally.first_start == min(starts, default=None)
    assert sum(stage.existing for stage in tally.stages.values()) == len(jobs)


@pytest.mark.parametrize(
    ("state", "reason", "allowed", "counts"),
    [
        (READY, "Queued", False, {"waiting"}),
        (READY, "Stopping", False, {"waiting", "stopping"}),
        (RUNNING, "Running", False, {"running"}),
        (RUNNING, "Stopping", False, {"running"}),
        (DONE, "Succeeded", False, {"done"}),
        (DONE, "Succeeded", True, {"done"}),
        (ERROR, "ExitCode", False, {"failed", "failures"}),
        (ERROR, "ExitCode", True, {"failed", "allowed"}),
        (CANCELLED, "QueueTimeout", False, {"cancelled", "failures"}),
        (CANCELLED, "QueueTimeout", True, {"cancelled", "allowed", "excused"}),
        (CANCELLED, "UserCancelled", False, {"cancelled", "user_cancelled"}),
        (CANCELLED, "UserCancelled", True, {"cancelled"}),
        (CANCELLED, "DeadlineExceeded", False, {"cancelled", "overdue"}),
        (CANCELLED, "DeadlineExceeded", True, {"cancelled", "overdue"}),
        (CANCELLED, "UpstreamFailed", False, {"cancelled"}),
        (CANCELLED, "FailFast", False, {"cancelled"}),
    ],
)
def test_what_a_job_is_counted_as(state: State, reason: str, allowed: bool, counts: set[str]) -> None:
    stage = tally_of([make.job(state=state, reason=reason, allow_failure=allowed)]).stage(0)
    assert {name for name, value in asdict(stage).items() if value} == counts
    assert stage.existing == 1
    assert stage.unfinished == (state in (READY, RUNNING))


def test_what_is_being_stopped_still_runs() -> None:
    tally = tally_of([make.job("a", reason="Stopping"), make.job("b", state=RUNNING), make.job("c"), make.job("d")])
    assert (tally.running, tally.unfinished, tally.total("waiting")) == (2, 4, 3)


def test_a_stage_without_jobs_counts_nothing() -> None:
    assert Tally().stage(3) == StageTally()
    assert not Tally().started
    assert tally_of([make.job(start_time=make.at(1))]).started


def test_failures_that_count_are_named_first_then_by_their_place() -> None:
    failed = [make.job(f"j{index}", index=index, state=ERROR, allow_failure=index < 3) for index in (4, 1, 0, 5, 2, 3)]
    assert tally_of(failed).failed_names() == ("j3", "j4", "j5", "j0", "j1", "j2")
    assert tally_of(failed).failed_names(2) == ("j3", "j4")
    many = [make.job(f"j{index}", index=index, state=ERROR) for index in range(2000)]
    assert len(tally_of(many).failed_names()) == 20


def test_totals_follow_the_order_of_the_stages() -> None:
    jobs = [make.job_spec("a", "t"), make.job_spec("b", "u"), make.job_spec("c", "t")]
    spec = make.pipeline(jobs=jobs, stages=["u", "empty", "t"]).spec
    assert spec is not None
    assert spec.stage_totals == (1, 0, 2)
