"""What to do about a Pipeline: tables for every situation, and random histories for what must always hold."""

from typing import Any

import pytest
from msgspec.structs import replace

from task_pipeline.api.reasons import Reason
from task_pipeline.api.states import State
from task_pipeline.core.closing import Pressure
from task_pipeline.core.pipeline_decision import PipelineDecision, PipelineFacts, Urgency, decide_pipeline
from task_pipeline.core.records import JobRecord, PipelineRecord, PipelineStatus
from task_pipeline.core.rollup import tally_of
from task_pipeline.core.waiting import Wait
from tests import make
from tests.unit.core.pipeline_builders import QUEUED

READY, RUNNING, DONE, ERROR, CANCELLED = State
TWO = (make.job_spec("a"), make.job_spec("b", "t"))


def decide(
    pipeline: PipelineRecord, *jobs: JobRecord, divided: int = -1, seconds: float = 0, **facts: Any
) -> PipelineDecision:
    """The decision about `pipeline` at `seconds`, with these jobs."""
    known: dict[str, Any] = {"faults": None, "refusal": None, "fits": True, "wait": QUEUED, "accepted": make.at(-1)}
    known |= facts
    found = PipelineFacts(pipeline=pipeline, tally=tally_of(jobs), divided=divided, **known)
    return decide_pipeline(found, make.moment(seconds))


def settle(
    pipeline: PipelineRecord, *jobs: JobRecord, divided: int = -1, seconds: float = 0, **facts: Any
) -> PipelineStatus:
    """The status once nothing more is written."""
    for _ in range(3):
        decision = decide(pipeline, *jobs, divided=divided, seconds=seconds, **facts)
        if decision.urgency is Urgency.NONE:
            return decision.status
        pipeline = replace(pipeline, status=decision.status)
    raise AssertionError(f"still writing: {decision}")


def ended(*jobs: JobRecord, of: PipelineRecord, divided: int = 0, seconds: float = 0) -> PipelineStatus:
    """How a Pipeline ends that has been IN PROGRESS."""
    status = replace(of.status, state=RUNNING, start_time=make.at(0), observed_generation=1)
    return settle(replace(of, status=status), *jobs, divided=divided, seconds=seconds)


def told(status: PipelineStatus) -> tuple[State, str | None]:
    return status.state, status.reason


def stages(status: PipelineStatus) -> dict[str, State]:
    return {stage.name: stage.state for stage in status.stages}


def held(status: PipelineStatus) -> dict[str, str]:
    return {condition.type: condition.status for condition in status.conditions}


def test_the_first_look_divides_the_first_stage() -> None:
    decision = decide(make.pipeline(jobs=TWO))
    assert (decision.divide, decision.urgency, decision.wake) == (0, Urgency.SOON, None)
    assert told(decision.status) == (READY, "Queued")
    assert decision.status.accepted_time == make.at(-1)
    assert decision.status.stage == "s"
    assert decision.status.divided is None


def test_an_accepted_time_stays() -> None:
    first = replace(make.pipeline(), status=PipelineStatus(accepted_time=make.at(-9)))
    assert decide(first, accepted=make.at(-1)).status.accepted_time == make.at(-9)


def test_a_pipeline_that_does_not_fit_waits_without_children() -> None:
    decision = decide(make.pipeline(), fits=False, wait=Wait(Reason.QUEUE_FULL, "5/5 jobs enqueued in all"))
    assert (decision.divide, told(decision.status)) == (None, (READY, "QueueFull"))
    assert decision.status.message == "5/5 jobs enqueued in all"


def test_a_new_reason_for_the_wait_of_an_accepted_pipeline_is_written_within_the_budget() -> None:
    first = decide(make.pipeline(), make.job(), divided=0)
    assert first.urgency is Urgency.SOON
    waiting = replace(make.pipeline(), status=first.status)
    second = decide(waiting, make.job(), divided=0, wait=Wait(Reason.CLIENT_LIMIT, "client default 3/3 running"))
    assert (second.urgency, told(second.status)) == (Urgency.WAIT, (READY, "ClientLimit"))
    assert decide(replace(waiting, generation=2), make.job(), divided=0).urgency is Urgency.SOON


def test_a_division_that_was_interrupted_goes_on_whether_it_fits_or_not() -> None:
    pipeline = make.pipeline(jobs=["a", "b"])
    assert decide(pipeline, make.job("a"), fits=False).divide == 0


def test_later_stages_do_not_ask_the_queue() -> None:
    assert decide(make.pipeline(jobs=TWO), make.job(state=DONE), divided=0, fits=False).divide == 1


@pytest.mark.parametrize("stages", [["e", "s", "t"], ["s", "e", "t"], ["s", "t", "e"], ["e", "s", "e2", "t", "e3"]])
def test_empty_stages_are_passed(stages: list[str]) -> None:
    pipeline = make.pipeline(jobs=TWO, stages=stages)
    s, t = stages.index("s"), stages.index("t")
    assert decide(pipeline).divide == s
    first = make.job("a", stage_index=s, state=DONE)
    assert decide(pipeline, first, divided=s).divide == t
    last = ended(first, make.job("b", stage="t", stage_index=t, state=DONE), of=pipeline, divided=t)
    assert told(last) == (DONE, "Succeeded")
    assert {stage.state for stage in last.stages} == {DONE}
    assert last.progress == "2/2"


def test_a_failure_leaves_later_empty_stages_unreached() -> None:
    pipeline = make.pipeline(jobs=["a"], stages=["before", "s", "behind"])
    status = ended(make.job(state=ERROR, stage_index=1), of=pipeline, divided=1)
    assert stages(status) == {"before": DONE, "s": ERROR, "behind": CANCELLED}


def test_a_launch_starts_the_run() -> None:
    decision = decide(make.pipeline(jobs=["a", "b"]), make.job(state=RUNNING, start_time=make.at(5)), make.job("b"),
                      divided=0, seconds=6)  # fmt: skip
    assert told(decision.status) == (RUNNING, "StageRunning")
    assert (decision.status.start_time, decision.status.stage) == (make.at(5), "s")
    assert decision.status.message == "stage s, 0 of 2 jobs done"
    assert decision.urgency is Urgency.NOW
    assert not decision.closing


def test_a_run_stays_in_progress_while_all_of_it_waits_for_retries() -> None:
    pipeline = replace(make.pipeline(), status=PipelineStatus(state=RUNNING, start_time=make.at(0)))
    status = decide(pipeline, make.job(reason="RetryBackoff", attempt=1, start_time=make.at(0)), divided=0).status
    assert told(status) == (RUNNING, "StageRunning")


@pytest.mark.parametrize(
    ("jobs", "fields", "state", "reason", "stage"),
    [
        ([{"state": DONE}], {}, DONE, "Succeeded", DONE),
        ([{"state": ERROR}], {}, ERROR, "JobFailed", ERROR),
        ([{"state": ERROR, "allow_failure": True}], {}, DONE, "SucceededWithWarnings", DONE),
        ([{"state": CANCELLED, "reason": "QueueTimeout"}], {}, ERROR, "JobFailed", ERROR),
        ([{"state": CANCELLED, "reason": "UserCancelled"}], {}, CANCELLED, "UserCancelled", CANCELLED),
        ([{"state": CANCELLED, "reason": "UserCancelled"}], {"cancel": "Now"}, CANCELLED, "UserCancelled", CANCELLED),
        ([{"state": DONE}], {"cancel": "Drain"}, DONE, "Succeeded", DONE),
        ([{"state": CANCELLED, "reason": "DeadlineExceeded"}], {}, ERROR, "DeadlineExceeded", CANCELLED),
        ([{"state": DONE}], {"timeout": 1}, DONE, "Succeeded", DONE),
    ],
)
def test_how_a_run_of_one_job_ends(
    jobs: list[dict[str, Any]], fields: dict[str, Any], state: State, reason: str, stage: State
) -> None:
    records = [make.job(index=index, **job) for index, job in enumerate(jobs)]
    status = ended(*records, of=make.pipeline(**fields), seconds=100)
    assert told(status) == (state, reason)
    assert stages(status) == {"s": stage}
    assert status.completion_time == make.at(100)
    assert status.progress == "1/1"
    assert status.stage is None


def test_a_failure_ends_the_run_when_its_siblings_have_finished() -> None:
    pipeline = make.pipeline(jobs=["a", "b", make.job_spec("c", "t")])
    failed, sibling = make.job("a", state=ERROR), make.job("b", index=1, state=RUNNING, start_time=make.at(0))
    decision = decide(pipeline, failed, sibling, divided=0)
    assert (told(decision.status), decision.divide) == ((RUNNING, "StageRunning"), None)
    assert decision.closing == Pressure(None, False, 0, True)
    status = ended(failed, make.job("b", state=DONE), of=pipeline)
    assert told(status) == (ERROR, "JobFailed")
    assert status.message == "failed in stage s: a"
    assert status.failed_jobs == ("a",)
    assert [(stage.failed, stage.cancelled, stage.done) for stage in status.stages] == [(1, 0, 1), (0, 1, 0)]
    assert status.progress == "3/3"


def test_the_message_of_a_failure_names_some_and_no_allowed_ones() -> None:
    jobs = [make.job(f"j{index}", index=index, state=ERROR, allow_failure=index == 0) for index in range(9)]
    status = ended(*jobs, of=make.pipeline(jobs=[f"j{index}" for index in range(9)]))
    assert status.message == "failed in stage s: j1, j2, j3, j4, j5 and 3 more"
    assert status.failed_jobs == ("j1", "j2", "j3", "j4", "j5", "j6", "j7", "j8", "j0")
    assert status.warnings == 1


def test_a_deleted_job_is_a_failure_and_is_not_run_again() -> None:
    pipeline = make.pipeline(jobs=["a", "b", make.job_spec("c", "t")])
    status = ended(make.job("a", state=DONE), of=pipeline)
    assert told(status) == (ERROR, "JobDeleted")
    assert status.message == "1 PipelineJobs were deleted by hand"
    assert [(stage.done, stage.failed, stage.cancelled) for stage in status.stages] == [(1, 1, 0), (0, 0, 1)]


def test_a_deletion_before_the_first_launch_ends_the_run_at_once() -> None:
    assert told(settle(make.pipeline(), divided=0)) == (ERROR, "JobDeleted")


def test_done_is_reached_through_in_progress() -> None:
    pipeline, done = make.pipeline(), make.job(state=DONE, start_time=make.at(1))
    first = decide(pipeline, done, divided=0, seconds=5)
    assert told(first.status) == (RUNNING, "StageRunning")
    assert (first.status.completion_time, first.status.start_time) == (None, make.at(1))
    assert first.urgency is Urgency.END  # else the end would wait for the pace of what is told on the way
    second = decide(replace(pipeline, status=first.status), done, divided=0, seconds=6)
    assert told(second.status) == (DONE, "Succeeded")
    assert second.urgency is Urgency.END


class TestCancel:
    def test_before_anything_exists(self) -> None:
        for wish in ("Now", "Drain"):
            status = settle(make.pipeline(jobs=TWO, cancel=wish))
            assert told(status) == (CANCELLED, "UserCancelled")
            assert status.message == f"the Pipeline was cancelled ({wish})"
            assert [stage.cancelled for stage in status.stages] == [1, 1]

    @pytest.mark.parametrize("held_by", [{"suspend": True}, {"fits": False}])
    def test_of_one_that_is_held_back(self, held_by: dict[str, Any]) -> None:
        fields = {key: value for key, value in held_by.items() if key != "fits"}
        pipeline = make.pipeline(cancel="Now", **fields)
        assert told(settle(pipeline, fits=held_by.get("fits", True))) == (CANCELLED, "UserCancelled")

    def test_waits_for_what_is_being_stopped(self) -> None:
        pipeline = make.pipeline(jobs=TWO, cancel="Now", suspend=True)
        stopping = make.job(reason="Stopping", start_time=make.at(0))
        decision = decide(pipeline, stopping, divided=0)
        assert told(decision.status) == (RUNNING, "Stopping")
        assert (decision.divide, decision.closing) == (None, Pressure(Reason.USER_CANCELLED, True, None, False))
        assert held(decision.status)["Reconciling"] == "True"
        assert stages(decision.status) == {"s": RUNNING, "t": READY}

    def test_of_jobs_that_only_wait(self) -> None:
        decision = decide(make.pipeline(cancel="Drain"), make.job(), divided=0)
        assert told(decision.status) == (READY, "Stopping")
        assert decision.closing

    def test_between_two_stages_opens_nothing(self) -> None:
        pipeline = make.pipeline(jobs=TWO, cancel="Drain")
        status = ended(make.job(state=DONE), of=pipeline)
        assert told(status) == (CANCELLED, "UserCancelled")
        assert stages(status) == {"s": DONE, "t": CANCELLED}

    def test_of_jobs_that_may_all_fail_is_no_success(self) -> None:
        cancelled = make.job(state=CANCELLED, reason="UserCancelled", allow_failure=True)
        assert told(ended(cancelled, of=make.pipeline(cancel="Now"))) == (CANCELLED, "UserCancelled")

    def test_of_one_job_is_told(self) -> None:
        status = ended(make.job(state=CANCELLED, reason="UserCancelled"), of=make.pipeline())
        assert status.message == "jobs were cancelled"

    def test_of_one_job_before_the_deadline_is_told_as_what_it_is(self) -> None:
        cancelled = make.job(state=CANCELLED, reason="UserCancelled")
        status = ended(cancelled, of=make.pipeline(timeout=60), seconds=70)
        assert (told(status), status.message) == ((CANCELLED, "UserCancelled"), "jobs were cancelled")


class TestSuspended:
    def test_nothing_is_divided(self) -> None:
        decision = decide(make.pipeline(suspend=True))
        assert (decision.divide, told(decision.status)) == (None, (READY, "Suspended"))
        assert held(decision.status)["Suspended"] == "True"

    def test_what_runs_goes_on_and_the_next_stage_stays_shut(self) -> None:
        pipeline = make.pipeline(jobs=TWO, suspend=True)
        running = decide(pipeline, make.job(state=RUNNING, start_time=make.at(0)), divided=0)
        assert told(running.status) == (RUNNING, "Suspended")
        between = decide(pipeline, make.job(state=DONE, start_time=make.at(0)), divided=0)
        assert (between.divide, told(between.status)) == (None, (RUNNING, "Suspended"))

    def test_what_is_through_ends(self) -> None:
        assert told(ended(make.job(state=DONE), of=make.pipeline(suspend=True))) == (DONE, "Succeeded")


class TestDeadline:
    PIPELINE = make.pipeline(
        jobs=TWO, timeout=60, status=PipelineStatus(state=RUNNING, start_time=make.at(0), observed_generation=1)
    )
    RUNS = make.job(state=RUNNING, start_time=make.at(0))

    def test_is_looked_at_in_time(self) -> None:
        decision = decide(self.PIPELINE, self.RUNS, divided=0, seconds=59)
        assert (decision.wake, told(decision.status)) == (make.moment(60), (RUNNING, "StageRunning"))

    def test_counts_from_the_first_launch_before_that_is_written(self) -> None:
        pipeline = make.pipeline(timeout=60)
        assert decide(pipeline, self.RUNS, divided=0, seconds=59).wake == make.moment(60)

    def test_stops_what_runs_and_asks_for_no_look_in_the_past(self) -> None:
        decision = decide(self.PIPELINE, self.RUNS, divided=0, seconds=60)
        assert told(decision.status) == (RUNNING, "Stopping")
        assert (decision.wake, decision.closing) == (None, Pressure(Reason.DEADLINE_EXCEEDED, True, None, False))

    def test_ends_the_run(self) -> None:
        stopped = make.job(state=CANCELLED, reason="DeadlineExceeded")
        status = ended(stopped, of=self.PIPELINE, seconds=70)
        assert told(status) == (ERROR, "DeadlineExceeded")
        assert status.message == "the Pipeline ran longer than its timeout of 60 s"

    def test_that_passes_between_two_stages_ends_the_run(self) -> None:
        status = ended(make.job(state=DONE), of=self.PIPELINE, seconds=70)
        assert told(status) == (ERROR, "DeadlineExceeded")

    def test_that_is_raised_while_jobs_are_stopped_still_ends_the_run(self) -> None:
        longer = replace(self.PIPELINE, spec=make.pipeline(jobs=TWO, timeout=9999).spec)
        status = ended(make.job(state=CANCELLED, reason="DeadlineExceeded"), of=longer, seconds=70)
        assert told(status) == (ERROR, "DeadlineExceeded")
        assert status.message == "the Pipeline's timeout ended jobs"

    @pytest.mark.parametrize("timeout", [1, 100_000_000_000])
    def test_far_ones(self, timeout: int) -> None:
        pipeline = replace(self.PIPELINE, spec=make.pipeline(timeout=timeout).spec)
        assert decide(pipeline, self.RUNS, divided=0, seconds=0).wake is not None


class TestInvalid:
    FAULTS = "spec.jobs[0].kind: there is no kind Nope"

    def test_every_fault_is_told_and_nothing_launched(self) -> None:
        decision = decide(make.pipeline(), faults=self.FAULTS)
        assert (decision.divide, decision.urgency) == (None, Urgency.END)
        assert told(decision.status) == (ERROR, "InvalidSpec")
        assert decision.status.message == self.FAULTS
        assert held(decision.status)["Accepted"] == "False"

    def test_what_cannot_be_decoded(self) -> None:
        assert told(settle(make.pipeline(spec=None, fault="broken"), faults="broken")) == (ERROR, "InvalidSpec")

    def test_a_client_that_does_not_take_it(self) -> None:
        assert told(settle(make.pipeline(), refusal="no")) == (ERROR, "ClientNotAllowed")

    def test_faults_of_the_spec_are_told_first(self) -> None:
        assert told(settle(make.pipeline(), faults="bad", refusal="no")) == (ERROR, "InvalidSpec")

    def test_the_time_of_the_end_moves_only_with_the_spec(self) -> None:
        first = settle(make.pipeline(), faults="bad")
        same = decide(make.pipeline(status=first), faults="bad", seconds=100)
        assert (same.urgency, same.status.completion_time) == (Urgency.NONE, make.at(0))
        other = decide(make.pipeline(status=first, generation=2), faults="bad", seconds=100)
        assert other.status.completion_time == make.at(100)

    def test_a_repaired_one_waits_like_any_other(self) -> None:
        first = settle(make.pipeline(), faults="bad")
        decision = decide(make.pipeline(status=first, generation=2), seconds=9)
        assert (told(decision.status), decision.divide) == ((READY, "Queued"), 0)
        assert decision.status.completion_time is None

    def test_a_repaired_one_that_is_cancelled_goes_through_ready(self) -> None:
        first = settle(make.pipeline(), refusal="no")
        pipeline = make.pipeline(status=first, cancel="Now", generation=2)
        decision = decide(pipeline)
        assert told(decision.status) == (READY, "Queued")
        assert told(settle(pipeline)) == (CANCELLED, "UserCancelled")

    def test_a_repaired_one_whose_job_was_launched_meanwhile_goes_through_ready(self) -> None:
        pipeline = make.pipeline(status=settle(make.pipeline(), refusal="no"))
        launched = make.job(state=RUNNING, start_time=make.at(1))
        assert told(decide(pipeline, launched, divided=0).status) == (READY, "Queued")
        assert told(settle(pipeline, launched, divided=0)) == (RUNNING, "StageRunning")

    def test_what_has_started_is_not_judged_again(self) -> None:
        status = PipelineStatus(state=RUNNING, start_time=make.at(0), observed_generation=1)
        running = make.job(state=RUNNING, start_time=make.at(0))
        assert told(decide(make.pipeline(status=status), running, divided=0, refusal="no").status)[0] is RUNNING
        waiting = decide(make.pipeline(), make.job(), divided=0, refusal="no")
        assert told(waiting.status) == (READY, "Queued")

    def test_a_started_one_that_cannot_be_decoded_any_more_is_left_alone(self) -> None:
        status = PipelineStatus(state=RUNNING, start_time=make.at(0), observed_generation=1)
        pipeline = make.pipeline(spec=None, fault="bad", generation=2, status=status)
        decision = decide(pipeline, make.job(state=RUNNING), divided=0, faults="bad")
        assert decision.status == replace(status, observed_generation=2)

    def test_a_later_run_that_is_refused_stays_refused(self) -> None:
        first = settle(make.pipeline(status=PipelineStatus(run=2, rerun_id="again")), refusal="no")
        assert (told(first), first.run, first.rerun_id) == ((ERROR, "ClientNotAllowed"), 2, "again")
        assert decide(make.pipeline(status=first)).urgency is Urgency.NONE


class TestFinished:
    STATUS = PipelineStatus(state=DONE, reason="Succeeded", run=1, start_time=make.at(0), observed_generation=1)

    def test_an_edit_is_only_acknowledged(self) -> None:
        decision = decide(make.pipeline(status=self.STATUS, generation=2, cancel="Now"), refusal="no", faults="bad")
        assert decision.status == replace(self.STATUS, observed_generation=2)
        assert decision.urgency is Urgency.SOON

    def test_nothing_is_done_twice(self) -> None:
        assert decide(make.pipeline(status=self.STATUS)).urgency is Urgency.NONE

    def test_its_jobs_may_be_removed(self) -> None:
        assert decide(make.pipeline(status=self.STATUS), divided=0).status == self.STATUS

    def test_one_that_is_being_deleted_is_left_alone(self) -> None:
        decision = decide(make.pipeline(deleting=True, generation=5))
        assert (decision.urgency, decision.divide) == (Urgency.NONE, None)


@pytest.mark.parametrize(
    ("before", "after", "urgency"),
    [
        ({}, {}, Urgency.NONE),
        ({}, {"progress": "1/2"}, Urgency.LAZY),
        ({"generation": 2}, {}, Urgency.SOON),
        ({"suspend": True}, {}, Urgency.NOW),
    ],
)
def test_how_soon_a_status_is_written(before: dict[str, Any], after: dict[str, Any], urgency: Urgency) -> None:
    jobs = [make.job("a", state=RUNNING, start_time=make.at(0)), make.job("b", index=1)]
    pipeline = make.pipeline(jobs=["a", "b"])
    status = replace(settle(pipeline, *jobs, divided=0), **after)
    assert decide(make.pipeline(jobs=["a", "b"], status=status, **before), *jobs, divided=0).urgency is urgency


def test_a_change_of_conditions_alone_is_written_now() -> None:
    jobs = [make.job(state=RUNNING, start_time=make.at(0))]
    status = settle(make.pipeline(), *jobs, divided=0)
    without = replace(status, conditions=status.conditions[1:])
    assert decide(make.pipeline(status=without), *jobs, divided=0).urgency is Urgency.NOW
