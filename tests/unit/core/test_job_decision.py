"""What happens to one job next: tables for the policy, properties for what must hold whatever the facts."""

from typing import Any

import pytest
from hypothesis import given
from msgspec.structs import replace

from task_pipeline.api.reasons import Reason
from task_pipeline.api.states import TERMINAL, State, job_may_move
from task_pipeline.core.attempts import begin_stop
from task_pipeline.core.closing import Closing
from task_pipeline.core.deadlines import Timeouts
from task_pipeline.core.job_decision import (
    Action,
    JobDecision,
    JobFacts,
    WorkloadFacts,
    decide_job,
    held_back,
    launched,
    refused,
)
from task_pipeline.core.messages import shortened
from task_pipeline.core.records import JobProgress, JobStatus
from task_pipeline.core.retry import NOT_RETRIED, Backoff
from task_pipeline.core.states import IllegalMove
from task_pipeline.core.workload import Observation, Phase
from tests.unit.core.job_builders import (
    CANCEL,
    DRAIN,
    FAILED,
    NOW,
    POD,
    RUNNING,
    STARTING,
    SUCCEEDED,
    SUSPENDED,
    any_facts,
    at,
    facts,
    job,
    later,
    running,
    saw,
    stopping,
)

GONE = WorkloadFacts(gone=True)


def written(decision: JobDecision) -> JobStatus:
    """The status that the decision writes."""
    assert decision.status is not None
    return decision.status


def ended(decision: JobDecision) -> tuple[State, str]:
    """State and reason of the status that the decision writes."""
    return written(decision).state, written(decision).reason


@given(any_facts)
def test_a_decision_never_makes_an_illegal_move(known: JobFacts) -> None:
    decision = decide_job(known, NOW)
    if known.job.final:
        assert decision.status is None
    if decision.status is None:
        return
    assert job_may_move(known.job.status.state, decision.status.state)
    final = decision.status.state in TERMINAL
    conditions = {one.type for one in decision.status.conditions}
    assert conditions == {"Finished", "Succeeded"} if final else conditions <= {"Suspended"}
    assert (decision.status.completion_time == at(0)) if final else True
    assert len(decision.status.attempts) <= 10


@given(any_facts)
def test_only_what_waits_with_a_slot_is_launched(known: JobFacts) -> None:
    decision = decide_job(known, NOW)
    if decision.action is Action.LAUNCH:
        assert known.admitted
        assert not known.suspended
        assert known.closing is None
        assert known.job.status.state is State.READY
        assert decision.status is None
    if decision.eligible:
        assert not known.suspended
        assert known.closing is None


@given(any_facts)
def test_what_must_outlive_its_job_is_never_deleted(known: JobFacts) -> None:
    outliving = not known.workload.stoppable and known.job.status.state is State.IN_PROGRESS
    if outliving and not known.orphaned:
        assert decide_job(known, NOW).action is not Action.STOP


def test_orphans_are_removed_and_deleted_ones_left_alone() -> None:
    assert decide_job(facts(job(), orphaned=True), NOW).action is Action.REMOVE
    assert decide_job(facts(job(deleting=True), admitted=True), NOW) == JobDecision()
    assert decide_job(facts(job(JobStatus(state=State.DONE)), closing=CANCEL), NOW) == JobDecision()


class TestWaiting:
    @pytest.mark.parametrize("attempt", [None, 0])
    def test_queue_timeout_ends_what_was_never_launched(self, attempt: int | None) -> None:
        waiting = job(JobStatus(attempt=attempt), created=-30, queue_timeout=30)
        assert ended(decide_job(facts(waiting, admitted=True), NOW)) == (State.CANCELLED, "QueueTimeout")

    def test_queue_timeout_spares_what_was_launched_before(self) -> None:
        retrying = job(JobStatus(attempt=1, reason="RetryBackoff"), created=-30, queue_timeout=30)
        assert decide_job(facts(retrying, admitted=True), NOW).action is Action.LAUNCH

    def test_queue_timeout_is_waited_for(self) -> None:
        waiting = job(queue_timeout=30)
        assert decide_job(facts(waiting), NOW) == JobDecision(eligible=True, wake=later(30))
        assert decide_job(facts(waiting, suspended=True), NOW) == JobDecision(wake=later(30), held=True)
        assert decide_job(facts(waiting, alone=True), NOW) == JobDecision(wake=later(30))

    def test_queue_timeout_is_not_late_because_of_a_pause(self) -> None:
        paused = job(JobStatus(reason="QuotaExceeded", next_attempt_time=at(30)), queue_timeout=5)
        assert decide_job(facts(paused, admitted=True), NOW) == JobDecision(wake=later(5))

    @pytest.mark.parametrize(("left", "action"), [(1, Action.NONE), (0, Action.LAUNCH), (-1, Action.LAUNCH)])
    def test_a_pause_is_kept(self, left: float, action: Action) -> None:
        pausing = job(JobStatus(attempt=1, reason="RetryBackoff", next_attempt_time=at(left)))
        assert decide_job(facts(pausing, admitted=True), NOW).action is action
        assert not decide_job(facts(pausing, admitted=True), NOW).eligible

    @pytest.mark.parametrize(("left", "action"), [(301, Action.NONE), (302, Action.LAUNCH), (3600, Action.LAUNCH)])
    def test_a_pause_is_not_waited_for_after_the_clock_was_put_back(self, left: float, action: Action) -> None:
        pausing = job(JobStatus(attempt=1, reason="RetryBackoff", next_attempt_time=at(left)))
        five_minutes = Backoff(limit=300)
        assert decide_job(facts(pausing, admitted=True, backoff=five_minutes), NOW).action is action
        assert decide_job(facts(job(), admitted=True, pause=later(left), backoff=five_minutes), NOW).action is action

    @pytest.mark.parametrize(("left", "action"), [(60, Action.NONE), (62, Action.LAUNCH)])
    def test_a_hold_is_kept_however_short_the_pauses_between_attempts_are(self, left: float, action: Action) -> None:
        held = job(JobStatus(reason="QuotaExceeded", next_attempt_time=at(left)))
        assert decide_job(facts(held, admitted=True, backoff=Backoff(limit=0)), NOW).action is action

    def test_a_slot_is_needed_and_a_suspended_pipeline_gets_none(self) -> None:
        assert decide_job(facts(job()), NOW) == JobDecision(eligible=True)
        assert decide_job(facts(job(), admitted=True), NOW) == JobDecision(Action.LAUNCH)
        assert decide_job(facts(job(), admitted=True, suspended=True), NOW) == JobDecision(held=True)

    @pytest.mark.parametrize("closing", [CANCEL, DRAIN])
    @pytest.mark.parametrize("suspended", [True, False])
    def test_a_cancel_ends_what_waits_even_suspended_or_retrying(self, closing: Any, suspended: bool) -> None:
        retrying = JobStatus(attempt=1, reason="RetryBackoff", next_attempt_time=at(60))
        for status in (JobStatus(), retrying):
            decision = decide_job(facts(job(status), closing=closing, suspended=suspended, admitted=True), NOW)
            assert ended(decision) == (State.CANCELLED, "UserCancelled")
            assert written(decision).next_attempt_time is None
            assert decision.action is Action.NONE


class TestRunning:
    def test_success_is_done(self) -> None:
        status = written(decide_job(facts(job(running()), saw(SUCCEEDED)), NOW))
        assert (status.state, status.reason, status.message) == (State.DONE, "Succeeded", None)
        assert [(one.outcome, one.charged, one.exit_code) for one in status.attempts] == [("Succeeded", None, 0)]

    def test_failure_without_retries_is_an_error(self) -> None:
        status = written(decide_job(facts(job(running()), saw(FAILED)), NOW))
        assert (status.state, status.reason, status.message) == (State.ERROR, "ExitCode", "exit code 3")
        assert (status.attempts[0].workload, status.failures) == (POD, 1)

    def test_a_failure_without_a_reason_is_called_failed(self) -> None:
        assert ended(decide_job(facts(job(running()), saw(Observation(Phase.FAILED))), NOW)) == (State.ERROR, "Failed")

    def test_failure_with_retries_waits_for_the_next_attempt(self) -> None:
        decision = decide_job(facts(job(running(), retry_attempt=1), saw(FAILED)), NOW)
        status = written(decision)
        assert (status.state, status.reason) == (State.READY, "RetryBackoff")
        assert status.message == "attempt 1 ended with ExitCode: exit code 3"
        assert (status.next_attempt_time, decision.wake) == (at(10), later(10))

    def test_what_is_not_seen_is_looked_up_before_it_is_called_lost(self) -> None:
        assert decide_job(facts(job(running())), NOW).action is Action.CONFIRM
        status = written(decide_job(facts(job(running()), GONE), NOW))
        assert (status.state, status.attempts[0].reason, status.attempts[0].charged) == (State.READY, "Lost", False)

    def test_drain_lets_it_finish(self) -> None:
        decision = decide_job(facts(job(running(60)), saw(RUNNING), closing=DRAIN), NOW)
        assert (decision.action, ended(decision)) == (Action.NONE, (State.IN_PROGRESS, "Running"))

    @pytest.mark.parametrize(
        ("spec", "age", "seen", "reason"),
        [
            ({"timeout": 100}, 99, RUNNING, None),
            ({"timeout": 100}, 100, RUNNING, "Timeout"),
            ({"timeout": 100}, 100, STARTING, "Timeout"),
            ({}, 50, RUNNING, "Timeout"),
            ({"start_timeout": 15}, 14, STARTING, None),
            ({"start_timeout": 15}, 15, STARTING, "StartTimeout"),
            ({"start_timeout": 15}, 16, RUNNING, None),
            ({}, 20, STARTING, "StartTimeout"),
            ({"timeout": 100, "start_timeout": 15}, 1000, SUSPENDED, None),
            ({}, 0, Observation(Phase.STARTING, Reason.INVALID_IMAGE_NAME, "bad", permanent=True), "InvalidImageName"),
            ({}, 0, Observation(Phase.STARTING, permanent=True), "StartError"),
        ],
    )
    def test_what_takes_too_long_is_stopped(
        self, spec: dict[str, Any], age: float, seen: Observation, reason: str | None
    ) -> None:
        known = facts(job(running(age), **spec), saw(seen), timeouts=Timeouts(run=50, start=20))
        decision = decide_job(known, NOW)
        assert (decision.status is not None and decision.status.reason == "Stopping") is (reason is not None)
        if reason is not None:
            assert ended(decision) == (State.IN_PROGRESS, "Stopping")
            assert decide_job(facts(replace(known.job, status=decision.status), saw(seen)), NOW).action is Action.STOP
            assert (written(decision).attempts[-1].reason, written(decision).attempts[-1].outcome) == (reason, None)
            outliving = facts(known.job, saw(seen, stoppable=False), timeouts=known.timeouts)
            assert (decide_job(outliving, NOW).action, ended(decide_job(outliving, NOW))) == (
                Action.NONE,
                (State.ERROR, reason),
            )

    def test_messages_of_timeouts_name_the_limit_in_full(self) -> None:
        age = 12_345_678
        late = decide_job(facts(job(running(age), timeout=age), saw(RUNNING)), NOW)
        assert written(late).message == "ran longer than 12345678 s"
        seen = Observation(Phase.STARTING, Reason.IMAGE_PULL_FAILED, "no such image")
        slow = decide_job(facts(job(running(900)), saw(seen)), NOW)
        assert written(slow).message == "not started within 600 s: no such image"

    @pytest.mark.parametrize("limit", [10**11, 10**10])
    def test_a_far_deadline_does_not_overflow(self, limit: int) -> None:
        spec: dict[str, Any] = {"timeout": limit, "start_timeout": limit, "queue_timeout": limit}
        for seen in (RUNNING, STARTING):
            assert decide_job(facts(job(running(60), **spec), saw(seen)), NOW).action is Action.NONE
        assert decide_job(facts(job(**spec)), NOW).eligible

    def test_external_queueing_stops_the_clocks(self) -> None:
        spec: dict[str, Any] = {"timeout": 900, "start_timeout": 600}
        queued = written(decide_job(facts(job(running(700), **spec), saw(SUSPENDED)), NOW))
        assert (queued.state, queued.reason, queued.message) == (State.IN_PROGRESS, "ExternallyQueued", "suspended")
        assert decide_job(facts(job(queued, **spec), saw(SUSPENDED)), NOW) == JobDecision()
        resumed = written(decide_job(facts(job(queued, **spec), saw(STARTING)), later(5000)))
        assert (resumed.reason, resumed.message, resumed.start_time) == ("Starting", None, at(4300))
        assert decide_job(facts(job(resumed, **spec), saw(STARTING)), later(5000)).action is Action.NONE
        assert ended(decide_job(facts(job(resumed, **spec), saw(STARTING)), later(5600)))[1] == "Stopping"


class TestProgress:
    def test_a_slow_start_shows_why_and_a_running_pod_drops_it(self) -> None:
        seen = Observation(Phase.STARTING, Reason.UNSCHEDULABLE, "0/3 nodes are available")
        early = decide_job(facts(job(running(9)), saw(seen)), NOW)
        assert early == JobDecision(wake=later(1))
        slow = decide_job(facts(job(running(10)), saw(seen)), NOW)
        assert (written(slow).reason, written(slow).message) == ("Starting", "0/3 nodes are available")
        assert slow.wake == later(590)
        assert decide_job(facts(job(written(slow)), saw(seen)), NOW) == JobDecision(wake=later(590))
        settled = decide_job(facts(job(written(slow)), saw(RUNNING)), NOW)
        assert (written(settled).reason, written(settled).message) == ("Running", None)

    def test_a_slow_start_without_a_message_costs_no_write(self) -> None:
        assert decide_job(facts(job(running(10)), saw(STARTING)), NOW) == JobDecision(wake=later(590))

    def test_running_is_written_once_and_not_for_the_short(self) -> None:
        assert decide_job(facts(job(running(4)), saw(RUNNING)), NOW) == JobDecision(wake=later(1))
        told = decide_job(facts(job(running(5), timeout=60), saw(RUNNING)), NOW)
        assert ended(told) == (State.IN_PROGRESS, "Running")
        assert told.wake == later(55)
        assert decide_job(facts(job(written(told), timeout=60), saw(RUNNING)), NOW) == JobDecision(wake=later(55))

    def test_a_status_without_a_start_time_is_told_all_the_same(self) -> None:
        told = decide_job(facts(job(replace(running(), start_time=None)), saw(RUNNING)), NOW)
        assert ended(told) == (State.IN_PROGRESS, "Running")


class TestStopping:
    """A job with a reason to stop: first the workload goes, then the outcome is written."""

    def timed_out(self, **spec: Any) -> Any:
        return job(begin_stop(running(100), Reason.TIMEOUT, "ran longer than 60 s"), **spec)

    @pytest.mark.parametrize("cancelled", [True, False])
    def test_it_waits_until_the_workload_is_gone(self, cancelled: bool) -> None:
        record = job(stopping()) if cancelled else self.timed_out()
        assert decide_job(facts(record), NOW) == JobDecision(Action.CONFIRM)
        assert decide_job(facts(record, saw(RUNNING)), NOW) == JobDecision(Action.STOP)
        assert decide_job(facts(record, saw(RUNNING, deletion=at(30))), NOW) == JobDecision(wake=later(90))

    @pytest.mark.parametrize("workload", [GONE, saw(SUCCEEDED), saw(FAILED)])
    def test_a_timeout_survives_a_restart_and_beats_a_late_result(self, workload: WorkloadFacts) -> None:
        assert ended(decide_job(facts(self.timed_out(), workload), NOW)) == (State.ERROR, "Timeout")
        retried = written(decide_job(facts(self.timed_out(retry_attempt=1), workload), NOW))
        assert (retried.state, retried.reason) == (State.READY, "RetryBackoff")
        assert [(one.reason, one.outcome, one.charged) for one in retried.attempts] == [("Timeout", "Timeout", True)]

    @pytest.mark.parametrize("workload", [GONE, saw(SUCCEEDED), saw(FAILED)])
    def test_a_cancel_survives_a_restart_and_beats_a_late_result(self, workload: WorkloadFacts) -> None:
        for closing in (CANCEL, None):
            status = written(decide_job(facts(job(stopping()), workload, closing=closing), NOW))
            assert (status.state, status.reason) == (State.CANCELLED, "UserCancelled")
            assert [(one.outcome, one.charged) for one in status.attempts] == [("Cancelled", None)]

    @pytest.mark.parametrize(("after_grace", "over"), [(59, False), (60, True)])
    def test_an_unreachable_node_is_given_up_60_s_after_the_grace_period(self, after_grace: float, over: bool) -> None:
        stuck = saw(RUNNING, deletion=at(-after_grace))
        for record in (self.timed_out(), job(stopping())):
            decision = decide_job(facts(record, stuck), NOW)
            assert (decision.status is not None) is over
            if over:
                assert "it may still be running" in str(written(decision).message)
                assert "it may still be running" in str(written(decision).attempts[-1].message)

    @pytest.mark.parametrize(("after_grace", "over"), [(59, False), (60, True)])
    def test_so_is_one_that_someone_else_deleted(self, after_grace: float, over: bool) -> None:
        told = running(100, reason="Running")
        decision = decide_job(facts(job(told), saw(RUNNING, deletion=at(-after_grace))), NOW)
        if not over:
            assert decision == JobDecision(wake=later(1))
            return
        entry = written(decision).attempts[-1]
        assert (written(decision).state, entry.reason, entry.charged) == (State.READY, "Lost", False)
        assert "it may still be running" in str(entry.message)

    def test_a_deployment_is_never_given_up_for_that(self) -> None:
        kept = saw(RUNNING, deletion=at(-100), stoppable=False)
        assert ended(decide_job(facts(job(running(100)), kept), NOW)) == (State.IN_PROGRESS, "Running")

    @pytest.mark.parametrize("stoppable", [True, False])
    def test_a_cancel_stops_and_waits_or_leaves_it_alone(self, stoppable: bool) -> None:
        first = decide_job(facts(job(running(9)), saw(RUNNING, stoppable=stoppable), closing=CANCEL), NOW)
        assert ended(first) == (State.READY, "Stopping")
        second = decide_job(facts(job(written(first)), saw(RUNNING, stoppable=stoppable), closing=CANCEL), NOW)
        assert (second == JobDecision(Action.STOP)) is stoppable
        if not stoppable:
            assert ended(second) == (State.CANCELLED, "UserCancelled")
            assert written(second).message == CANCEL.message
        unseen = decide_job(facts(job(written(first)), saw(None, stoppable=stoppable), closing=CANCEL), NOW)
        assert (unseen.action is Action.CONFIRM) is stoppable


class TestRaces:
    """Two things at once, in both orders: the first that is committed wins, and a cancel is never a failure."""

    def test_success_then_cancel(self) -> None:
        assert ended(decide_job(facts(job(running(9)), saw(SUCCEEDED), closing=CANCEL), NOW)) == (
            State.DONE,
            "Succeeded",
        )

    def test_cancel_then_success(self) -> None:
        first = decide_job(facts(job(running(9)), saw(RUNNING), closing=CANCEL), NOW)
        second = decide_job(facts(job(written(first)), saw(SUCCEEDED), closing=CANCEL), NOW)
        assert ended(second) == (State.CANCELLED, "UserCancelled")

    def test_success_then_timeout(self) -> None:
        assert ended(decide_job(facts(job(running(99), timeout=60), saw(SUCCEEDED)), NOW)) == (State.DONE, "Succeeded")

    def test_timeout_then_success(self) -> None:
        first = decide_job(facts(job(running(99), timeout=60), saw(RUNNING)), NOW)
        second = decide_job(facts(job(written(first), timeout=60), saw(SUCCEEDED)), NOW)
        assert ended(second) == (State.ERROR, "Timeout")

    def test_gone_then_cancel(self) -> None:
        first = decide_job(facts(job(running(9)), GONE, closing=CANCEL), NOW)
        assert ended(first) == (State.READY, "Stopping")
        second = decide_job(facts(job(written(first)), GONE, closing=CANCEL), NOW)
        assert ended(second) == (State.CANCELLED, "UserCancelled")
        assert [one.outcome for one in written(second).attempts] == ["Cancelled"]

    def test_a_lost_race_for_the_write_forgets_no_reason(self) -> None:
        """What is to be stopped is written first, so that a conflict leaves a workload that nobody has touched."""
        for known in (
            facts(job(running(99), timeout=60), saw(RUNNING)),
            facts(job(running(9)), saw(RUNNING), closing=CANCEL),
        ):
            assert decide_job(known, NOW).action is Action.NONE

    def test_cancel_then_gone(self) -> None:
        first = decide_job(facts(job(running(9)), saw(RUNNING), closing=CANCEL), NOW)
        second = decide_job(facts(job(written(first)), GONE, closing=CANCEL), NOW)
        assert ended(second) == (State.CANCELLED, "UserCancelled")

    @pytest.mark.parametrize("closing", [None, CANCEL, DRAIN])
    @pytest.mark.parametrize("changes", [{}, {"suspended": True}, {"admitted": True}, {"alone": True}])
    def test_launch_of_which_nobody_told_then_anything(self, closing: Any, changes: dict[str, Any]) -> None:
        """What lives is claimed, and then ended as what runs is: CANCELLED means that nothing runs any more."""
        record = job(JobStatus(attempt=2, reason="RetryBackoff", next_attempt_time=at(60)), queue_timeout=1, created=-9)
        decision = decide_job(facts(record, closing=closing, unclaimed=POD, **changes), NOW)
        assert decision.action is Action.ADOPT
        assert ended(decision) == (State.IN_PROGRESS, "Starting")
        assert (written(decision).attempt, written(decision).workload) == (3, POD)

    def test_cancel_then_another_end_keeps_the_reason_of_the_first(self) -> None:
        first = decide_job(facts(job(running(9)), saw(RUNNING), closing=CANCEL), NOW)
        for closing in (None, Closing(Reason.FAIL_FAST, "another failed", False)):
            last = written(decide_job(facts(job(written(first)), GONE, closing=closing), NOW))
            assert (last.state, last.reason, last.message) == (State.CANCELLED, "UserCancelled", CANCEL.message)
            assert [(one.outcome, one.reason) for one in last.attempts] == [("Cancelled", "UserCancelled")]

    def test_timeout_then_cancel_keeps_the_cancel_before_the_retry(self) -> None:
        first = decide_job(facts(job(running(99), timeout=60, retry_attempt=5), saw(RUNNING)), NOW)
        record = job(written(first), timeout=60, retry_attempt=5)
        second = decide_job(facts(record, GONE, closing=CANCEL), NOW)
        third = decide_job(facts(job(written(second), retry_attempt=5), closing=CANCEL, admitted=True), NOW)
        assert ended(third) == (State.CANCELLED, "UserCancelled")


class TestLaunching:
    def test_a_launch_begins_an_attempt_afresh(self) -> None:
        before = JobStatus(attempt=1, reason="RetryBackoff", message="attempt 1 ...", next_attempt_time=at(-1))
        assert launched(before, 2, POD, NOW) == running(0, attempt=2)

    def test_only_what_waits_can_be_launched(self) -> None:
        with pytest.raises(IllegalMove, match="from DONE to IN PROGRESS"):
            launched(JobStatus(state=State.DONE), 2, POD, NOW)

    @pytest.mark.parametrize("message", ["", "violates PodSecurity", "x" * 5000])
    def test_a_refused_launch_is_an_attempt(self, message: str) -> None:
        started, over = refused(job(retry_attempt=9), 1, Reason.POD_REJECTED, message, NOW)
        assert (started.state, started.attempt, started.workload) == (State.IN_PROGRESS, 1, None)
        told = f"{message}; {NOT_RETRIED}" if message else NOT_RETRIED
        assert (over.state, over.reason, over.message) == (State.ERROR, "PodRejected", shortened(told, 1024))
        assert [(one.outcome, one.reason, one.charged) for one in over.attempts] == [("Failed", "PodRejected", True)]
        again = decide_job(facts(job(started, retry_attempt=9), GONE), NOW)
        assert (ended(again), again.wake) == ((State.ERROR, "PodRejected"), None)

    def test_what_the_last_attempt_reported_is_not_told_of_the_next(self) -> None:
        before = JobStatus(attempt=1, progress=JobProgress(percent=90), result={"half": True})
        assert launched(before, 2, POD, NOW) == running(0, attempt=2)

    @pytest.mark.parametrize("message", ["", "exceeded quota: pods"])
    def test_a_quota_charges_nothing(self, message: str) -> None:
        held = held_back(JobStatus(), Reason.QUOTA_EXCEEDED, message, later(30))
        assert held == JobStatus(reason="QuotaExceeded", message=message or None, next_attempt_time=at(30))
        assert decide_job(facts(job(held), admitted=True), NOW) == JobDecision(wake=later(30))
