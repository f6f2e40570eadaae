"""The barrier between stages, and how each stage stands."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from task_pipeline.api.states import State
from task_pipeline.core.records import JobRecord, Kept
from task_pipeline.core.rollup import StageTally, Tally, tally_of
from task_pipeline.core.stages import Barrier, judge, not_created, stage_status
from tests import make

READY, RUNNING, DONE, ERROR, CANCELLED = State


def stage(index: int, *states: State, **fields: Any) -> list[JobRecord]:
    """The jobs of one stage, one for each state."""
    return [make.job(f"{index}-{place}", stage_index=index, state=s, **fields) for place, s in enumerate(states)]


def barrier(totals: list[int], divided: int, *jobs: JobRecord) -> Barrier:
    return judge(totals, divided, tally_of(jobs))


@pytest.mark.parametrize(
    ("totals", "divided", "jobs", "expected"),
    [
        pytest.param([2, 1], -1, [], Barrier(0, divide=0), id="nothing exists"),
        pytest.param([0, 1], -1, [], Barrier(1, divide=1), id="the first stage is empty"),
        pytest.param([2, 1], -1, stage(0, RUNNING), Barrier(0, divide=0), id="dividing was interrupted"),
        pytest.param([2, 1], 0, stage(0, DONE, RUNNING), Barrier(0), id="one still runs"),
        pytest.param([2, 1], 0, stage(0, DONE, READY), Barrier(0), id="one went back to READY"),
        pytest.param([2, 1], 0, stage(0, DONE, DONE), Barrier(1, divide=1), id="the next stage opens"),
        pytest.param([1, 0, 1], 0, stage(0, DONE), Barrier(2, divide=2), id="an empty stage is passed"),
        pytest.param([1, 0], 0, stage(0, DONE), Barrier(2), id="the last stage is empty"),
        pytest.param([1], 0, stage(0, DONE), Barrier(1), id="all is through"),
        pytest.param([1, 1], 0, stage(0, ERROR), Barrier(2, broken=0, failed=True), id="failed"),
        pytest.param(
            [1, 1], 0, stage(0, ERROR, allow_failure=True), Barrier(1, divide=1), id="failed and was allowed to"
        ),
        pytest.param(
            [2, 1], 0, stage(0, ERROR, RUNNING), Barrier(0, broken=0, failed=True), id="siblings of a failed one finish"
        ),
        pytest.param(
            [1, 1], 0, stage(0, CANCELLED, reason="QueueTimeout"), Barrier(2, broken=0, failed=True), id="queue timeout"
        ),
        pytest.param(
            [1, 1], 0, stage(0, CANCELLED, reason="UserCancelled"), Barrier(2, broken=0), id="a user cancelled it"
        ),
        pytest.param(
            [1, 1],
            0,
            stage(0, CANCELLED, reason="UserCancelled", allow_failure=True),
            Barrier(1, divide=1),
            id="a user cancelled one that may fail",
        ),
        pytest.param([1, 1], 0, stage(0, CANCELLED, reason="DeadlineExceeded"), Barrier(2, broken=0), id="deadline"),
        pytest.param([2, 1], 0, stage(0, DONE), Barrier(2, broken=0, failed=True, deleted=1), id="one was deleted"),
        pytest.param(
            [2, 2],
            1,
            [*stage(0, DONE), *stage(1, RUNNING, READY)],
            Barrier(0, broken=0, failed=True, deleted=1),
            id="one of an earlier stage was deleted while a later one runs",
        ),
        pytest.param([1], 0, stage(0, DONE, READY), Barrier(0), id="more jobs than the spec has"),
    ],
)
def test_the_barrier(totals: list[int], divided: int, jobs: list[JobRecord], expected: Barrier) -> None:
    assert barrier(totals, divided, *jobs) == expected


runs = st.lists(st.lists(st.sampled_from(State), max_size=3), min_size=1, max_size=4)


@given(runs, st.integers(-1, 3), st.integers(0, 2), st.booleans())
def test_the_barrier_opens_only_when_all_earlier_jobs_have_ended_well(
    states: list[list[State]], divided: int, deleted: int, allowed: bool
) -> None:
    totals = [len(one) for one in states]
    created = [job for index, one in enumerate(states) if index <= divided for job in stage(index, *one)]
    jobs = [replace(job, spec=replace(job.spec, allow_failure=allowed)) for job in created[deleted:]]
    found = barrier(totals, divided, *jobs)
    ended_well = {DONE, CANCELLED, ERROR} if allowed else {DONE, CANCELLED}
    if found.divide is not None:
        assert found.divide == found.open > divided
        assert len(jobs) == len(created) == sum(totals[: found.divide])
        assert {job.status.state for job in jobs} <= ended_well
    if found.open == len(totals):
        assert all(job.final for job in jobs)
    if found.broken is None and found.open > divided:
        assert {job.status.state for job in jobs} <= ended_well


def test_jobs_still_to_be_created() -> None:
    tally = tally_of([*stage(0, DONE), *stage(1, READY)])
    assert not_created([2, 3, 1], 0, tally) == 3
    assert not_created([2, 3, 1], 2, tally) == 0
    assert not_created([2, 3, 1], -1, Tally()) == 6


@pytest.mark.parametrize(
    ("total", "counts", "facts", "state"),
    [
        (2, {}, {}, READY),
        (2, {"waiting": 1}, {}, READY),
        (2, {"waiting": 2}, {"created": True}, READY),
        (2, {"waiting": 1, "stopping": 1}, {}, RUNNING),
        (2, {"waiting": 1, "running": 1}, {}, RUNNING),
        (2, {"waiting": 1, "done": 1}, {"created": True}, RUNNING),
        (2, {"waiting": 1, "failed": 1, "failures": 1}, {"created": True}, RUNNING),
        (2, {"waiting": 1, "cancelled": 1}, {"created": True}, READY),
        (2, {"done": 2}, {"created": True}, DONE),
        (2, {"done": 1, "failed": 1, "failures": 1}, {"created": True}, ERROR),
        (2, {"done": 1, "failed": 1, "allowed": 1}, {"created": True}, DONE),
        (2, {"done": 1, "cancelled": 1, "allowed": 1, "excused": 1}, {"created": True}, DONE),
        (2, {"done": 1, "cancelled": 1, "user_cancelled": 1}, {"created": True}, CANCELLED),
        (2, {"cancelled": 2, "failures": 1}, {"created": True}, ERROR),
        (2, {"done": 1}, {"created": True}, ERROR),
        (2, {}, {"over": True}, CANCELLED),
        (2, {"done": 1}, {"over": True}, CANCELLED),
        (0, {}, {}, READY),
        (0, {}, {"reached": True}, DONE),
        (0, {}, {"over": True}, CANCELLED),
        (0, {}, {"over": True, "reached": True}, DONE),
    ],
)
def test_how_a_stage_stands(total: int, counts: dict[str, int], facts: dict[str, bool], state: State) -> None:
    known = {"created": False, "over": False, "reached": False} | facts
    assert stage_status("s", total, StageTally(**counts), **known).state is state


def test_what_was_deleted_counts_as_failed_and_what_never_started_as_cancelled() -> None:
    some = StageTally(done=1)
    deleted = stage_status("s", 3, some, created=True, over=True, reached=False)
    assert (deleted.done, deleted.failed, deleted.cancelled, deleted.waiting) == (1, 2, 0, 0)
    never = stage_status("s", 3, some, created=False, over=True, reached=False)
    assert (never.done, never.failed, never.cancelled, never.waiting) == (1, 0, 2, 0)
    coming = stage_status("s", 3, some, created=False, over=False, reached=False)
    assert (coming.done, coming.failed, coming.cancelled, coming.waiting) == (1, 0, 0, 2)


@given(st.integers(0, 5), st.lists(st.sampled_from(State), max_size=5), st.booleans(), st.booleans(), st.booleans())
def test_the_five_counts_always_add_up(
    total: int, states: list[State], created: bool, over: bool, reached: bool
) -> None:
    tally = tally_of(stage(0, *states)).stage(0)
    told = stage_status("s", total, tally, created=created, over=over, reached=reached)
    counts = (told.waiting, told.running, told.done, told.failed, told.cancelled)
    assert sum(counts) == told.total >= total
    assert min(counts) >= 0


KEPT = Kept(since=1, jobs=(1, 2))


def rerun(*own: JobRecord, earlier: list[JobRecord]) -> Tally:
    """The counts of a second run that took over one job of the first stage and two of the second."""
    return tally_of(own).with_kept([tally_of(earlier)], KEPT)


EARLIER = [*stage(0, DONE, ERROR), *stage(1, DONE, DONE)]


@pytest.mark.parametrize(
    ("divided", "own", "earlier", "expected"),
    [
        pytest.param(-1, [], EARLIER, Barrier(0, divide=0), id="the rest of the first stage is created"),
        pytest.param(0, stage(0, RUNNING), EARLIER, Barrier(0), id="it runs"),
        pytest.param(0, stage(0, DONE), EARLIER, Barrier(2, divide=2), id="a stage that is done is passed"),
        pytest.param(
            0, stage(0, RUNNING), EARLIER[1:], Barrier(0, broken=0, failed=True, deleted=1), id="one was deleted"
        ),
        pytest.param(
            0, stage(0, DONE), EARLIER[:3], Barrier(3, broken=1, failed=True, deleted=1), id="one of a later stage was"
        ),
        pytest.param(-1, [], [], Barrier(3, broken=0, failed=True, deleted=1), id="all were"),
    ],
)
def test_jobs_of_earlier_runs_count_and_are_missed_when_they_are_gone(
    divided: int, own: list[JobRecord], earlier: list[JobRecord], expected: Barrier
) -> None:
    assert judge([2, 2, 1], divided, rerun(*own, earlier=earlier)) == expected


def test_a_stage_of_which_only_kept_jobs_are_done_has_not_begun() -> None:
    waiting = rerun(*stage(0, READY), earlier=EARLIER).stage(0)
    told = stage_status("s", 2, waiting, created=True, over=False, reached=False)
    assert (told.state, told.done, told.waiting, told.total) == (READY, 1, 1, 2)
    running = rerun(*stage(0, RUNNING), earlier=EARLIER).stage(0)
    assert stage_status("s", 2, running, created=True, over=False, reached=False).state is RUNNING


def test_a_run_is_untouched_until_a_job_of_its_own_exists() -> None:
    assert rerun(earlier=EARLIER).untouched
    assert not rerun(*stage(0, READY), earlier=EARLIER).untouched
    assert not rerun(*stage(0, RUNNING, start_time=make.at(0)), earlier=EARLIER).untouched
