"""What workers may say of an attempt, and what it counts for: tables, and what holds for any order of requests."""

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from task_pipeline.api.reasons import Reason
from task_pipeline.api.states import TERMINAL, State
from task_pipeline.core.attempts import pending_stop
from task_pipeline.core.deadlines import Timeouts
from task_pipeline.core.job_decision import Action, JobDecision, WorkloadFacts, decide_job, launched, offered, refused
from task_pipeline.core.records import Claim, JobProgress, JobRecord, JobStatus, Report, WorkloadRef
from task_pipeline.core.remote import (
    LEASE_GRACE,
    PROGRESS_GAP,
    Denial,
    Denied,
    Lease,
    Step,
    claim,
    claim_of,
    heartbeat,
    is_claimable,
    is_remote,
    is_stopping,
    judge,
    lost_at,
    progress,
    report,
    report_of,
    without_nulls,
)
from task_pipeline.core.workload import Phase
from tests.unit.core.job_builders import CANCEL, NOW, at, facts, job, later

LEASE = Lease(60.0)
WAITING = offered(JobStatus(), 1, "render", NOW)
CLAIM = Claim(attempt=1, worker="w1", claim_time=at(0), lease_until=at(60), id="r1")
CLAIMED = replace(WAITING, claim=CLAIM)
RUNNING = replace(CLAIMED, reason=Reason.RUNNING.value, message=None)
STOPPING = replace(RUNNING, state=State.READY, reason=Reason.STOPPING.value)
SUCCESS = Report(attempt=1, outcome="Succeeded", time=at(30))
FAILURE = Report(attempt=1, outcome="Failed", message="no space left", exit_code=3, time=at(30))
BACKOFF = replace(RUNNING, state=State.READY, reason=Reason.RETRY_BACKOFF.value)
SECOND = offered(BACKOFF, 2, "render", later(100))
OVER = [
    BACKOFF,
    *(replace(RUNNING, state=state, reason=Reason.USER_CANCELLED.value) for state in TERMINAL),
    replace(STOPPING, state=State.CANCELLED, reason=Reason.USER_CANCELLED.value),
]


def taken(answer: Step | Denied) -> JobStatus:
    """The status of a step that writes it."""
    assert isinstance(answer, Step)
    assert answer.write
    return answer.status


def unchanged(answer: Step | Denied, status: JobStatus) -> bool:
    return answer == Step(status, write=False)


def denial(answer: Step | Denied) -> tuple[Denial, int]:
    assert isinstance(answer, Denied)
    assert answer.message
    return answer.reason, answer.attempt


def decided(record: JobRecord, seconds: float, **changes: Any) -> JobDecision:
    """What the operator decides of a remote attempt `seconds` after NOW."""
    end = lost_at(record.status)
    seen = WorkloadFacts(judge(record, later(seconds)), stoppable=end is not None, ends_by_itself=end)
    return decide_job(facts(record, seen, **changes), later(seconds))


class TestWhichAttemptsAreRemote:
    @pytest.mark.parametrize("status", [WAITING, CLAIMED, RUNNING, STOPPING])
    def test_those_that_are_on_without_a_workload(self, status: JobStatus) -> None:
        assert is_remote(status)

    @pytest.mark.parametrize("status", [JobStatus(), *OVER])
    def test_none_that_waits_or_is_over(self, status: JobStatus) -> None:
        assert not is_remote(status)

    def test_none_that_was_refused(self) -> None:
        started, _ = refused(job(), 1, Reason.INVALID_SPEC, "why", NOW)
        assert not is_remote(started)

    def test_none_with_a_workload(self) -> None:
        pod = WorkloadRef(kind="Pod", name="p", uid="u")
        assert not is_remote(replace(launched(JobStatus(), 1, pod, NOW), reason=Reason.RUNNING.value))

    def test_a_launch_forgets_what_was_said_of_the_attempt_before(self) -> None:
        before = replace(BACKOFF, report=FAILURE, result={"a": 1}, progress=JobProgress(percent=7))
        after = offered(before, 2, "render", NOW)
        assert (after.claim, after.report, after.result, after.progress) == (None, None, None, None)
        assert (after.reason, after.message) == ("AwaitingWorker", "no worker has claimed it from queue render")


class TestClaim:
    def test_the_first_gets_it_for_the_time_of_the_lease(self) -> None:
        assert taken(claim(job(WAITING), "w1", "r1", LEASE, NOW)) == CLAIMED

    def test_nobody_else_gets_it_even_when_the_lease_has_passed(self) -> None:
        for moment in (NOW, later(3600)):
            assert denial(claim(job(CLAIMED), "w2", "r2", LEASE, moment)) == (Denial.TAKEN, 1)

    @pytest.mark.parametrize(
        "cancelled", [job(STOPPING), replace(job(RUNNING), spec=replace(job().spec, cancel="Now"))]
    )
    def test_a_lost_answer_is_not_given_again_when_the_attempt_has_been_cancelled(self, cancelled: JobRecord) -> None:
        answer = claim(cancelled, "w1", "r1", LEASE, NOW)
        assert isinstance(answer, Denied)
        assert answer.reason is Denial.TAKEN

    def test_the_same_request_again_has_the_same_answer(self) -> None:
        assert unchanged(claim(job(RUNNING), "w1", "r1", LEASE, later(30)), RUNNING)

    @pytest.mark.parametrize(("worker", "request_"), [("w1", "r2"), ("w2", "r1"), ("w1", None)])
    def test_another_request_is_another_worker(self, worker: str, request_: str | None) -> None:
        assert denial(claim(job(CLAIMED), worker, request_, LEASE, NOW)) == (Denial.TAKEN, 1)

    def test_without_a_name_a_request_is_always_another(self) -> None:
        nameless = replace(WAITING, claim=replace(CLAIM, id=None))
        assert denial(claim(job(nameless), "w1", None, LEASE, NOW)) == (Denial.TAKEN, 1)

    @pytest.mark.parametrize("status", OVER)
    def test_the_same_request_is_denied_when_the_attempt_is_over(self, status: JobStatus) -> None:
        assert denial(claim(job(status), "w1", "r1", LEASE, NOW)) == (Denial.OVER, 1)

    @pytest.mark.parametrize(
        ("record", "seconds"),
        [
            (job(), 0),
            (job(WAITING, deleting=True), 0),
            (job(WAITING, cancel="Now"), 0),
            (job(replace(WAITING, reason=Reason.STOPPING.value)), 0),
            (job(WAITING, timeout=10), 10),
            (job(WAITING, start_timeout=10), 10),
        ],
    )
    def test_what_is_not_to_be_done_is_not_to_be_claimed(self, record: JobRecord, seconds: float) -> None:
        assert not is_claimable(record, later(seconds))
        answer = claim(record, "w1", None, LEASE, later(seconds))
        assert denial(answer) == (Denial.TAKEN, record.status.attempt or 0)

    def test_a_drain_lets_it_be_done(self) -> None:
        assert is_claimable(job(WAITING, cancel="Drain", timeout=10), later(9))


class TestHeartbeat:
    def test_the_lease_goes_on_with_every_heartbeat_that_keeps_the_pace(self) -> None:
        assert unchanged(heartbeat(job(RUNNING), 1, LEASE, later(17.9)), RUNNING)
        status = taken(heartbeat(job(RUNNING), 1, LEASE, later(19)))
        assert status == replace(RUNNING, claim=replace(CLAIM, lease_until=at(79)))

    def test_one_that_comes_late_counts_until_the_loss_is_written(self) -> None:
        status = taken(heartbeat(job(RUNNING), 1, LEASE, later(100)))
        assert judge(job(status), later(100)).phase is Phase.RUNNING

    def test_a_worker_that_shall_stop_gets_no_more_time(self) -> None:
        assert is_stopping(STOPPING)
        assert unchanged(heartbeat(job(STOPPING), 1, LEASE, later(50)), STOPPING)

    def test_after_the_report_there_is_nothing_to_hold(self) -> None:
        status = replace(RUNNING, report=SUCCESS)
        assert unchanged(heartbeat(job(status), 1, LEASE, later(50)), status)

    def test_the_pace_leaves_two_heartbeats_to_get_lost(self) -> None:
        assert Lease(60).pace == 20


class TestWhatIsOverIsOver:
    @pytest.mark.parametrize("status", OVER)
    def test_nothing_counts_that_is_said_of_an_attempt_that_is_over(self, status: JobStatus) -> None:
        for answer in (
            heartbeat(job(status), 1, LEASE, NOW),
            progress(job(status), 1, (1, None), LEASE, NOW),
            report(job(status), SUCCESS, None),
        ):
            assert denial(answer) == (Denial.OVER, 1)

    def test_row_68_nor_of_one_that_another_has_followed(self) -> None:
        for answer in (
            heartbeat(job(SECOND), 1, LEASE, NOW),
            progress(job(SECOND), 1, (1, None), LEASE, NOW),
            report(job(SECOND), SUCCESS, None),
        ):
            assert denial(answer) == (Denial.SUPERSEDED, 2)

    @pytest.mark.parametrize(
        "record", [job(WAITING), job(RUNNING, deleting=True), job(replace(SECOND, claim=CLAIM)), job()]
    )
    def test_nor_of_one_that_was_not_claimed_or_is_being_deleted(self, record: JobRecord) -> None:
        number = record.status.attempt or 1
        assert denial(heartbeat(record, number, LEASE, NOW)) == (Denial.OVER, record.status.attempt or 0)

    def test_nor_of_one_that_does_not_exist_yet(self) -> None:
        assert denial(heartbeat(job(RUNNING), 2, LEASE, NOW)) == (Denial.OVER, 1)

    def test_claims_and_reports_of_other_attempts_are_not_seen(self) -> None:
        status = replace(SECOND, claim=CLAIM, report=SUCCESS)
        assert claim_of(status) is None
        assert report_of(status) is None
        assert judge(job(status), NOW).phase is Phase.STARTING


class TestProgress:
    def test_it_is_written_and_is_a_sign_of_life(self) -> None:
        status = taken(progress(job(RUNNING), 1, (40, "scene 4"), LEASE, later(10)))
        assert status.progress == JobProgress(percent=40, message="scene 4", time=at(10))
        assert status.claim == replace(CLAIM, lease_until=at(70))

    def test_what_comes_too_soon_is_not_written(self) -> None:
        first = taken(progress(job(RUNNING), 1, (40, None), LEASE, later(10)))
        assert unchanged(progress(job(first), 1, (41, None), LEASE, later(9.9 + PROGRESS_GAP)), first)
        assert taken(progress(job(first), 1, (41, None), LEASE, later(10 + PROGRESS_GAP))).progress is not None

    @pytest.mark.parametrize("told", [(39, "late"), (40, "same"), (None, "same")])
    def test_nothing_new_is_a_heartbeat(self, told: tuple[int | None, str | None]) -> None:
        status = taken(progress(job(RUNNING), 1, (40, "same"), LEASE, NOW))
        assert unchanged(progress(job(status), 1, told, LEASE, later(10)), status)
        beat = taken(progress(job(status), 1, told, LEASE, later(20)))
        assert beat == replace(status, claim=replace(CLAIM, lease_until=at(80)))

    def test_a_message_alone_keeps_the_percentage(self) -> None:
        status = taken(progress(job(RUNNING), 1, (40, "a"), LEASE, NOW))
        assert taken(progress(job(status), 1, (None, "b"), LEASE, later(10))).progress == JobProgress(
            percent=40, message="b", time=at(10)
        )

    def test_a_message_is_bounded(self) -> None:
        told = taken(progress(job(RUNNING), 1, (None, "x" * 5000), LEASE, NOW)).progress
        assert told is not None
        assert told.message is not None
        assert len(told.message) <= 256

    def test_while_it_is_stopped_progress_is_told_but_gives_no_time(self) -> None:
        status = taken(progress(job(STOPPING), 1, (40, None), LEASE, later(50)))
        assert status.claim == CLAIM

    def test_after_the_report_it_changes_nothing(self) -> None:
        status = replace(RUNNING, report=SUCCESS)
        assert unchanged(progress(job(status), 1, (40, None), LEASE, later(50)), status)

    @given(st.lists(st.tuples(st.integers(0, 100), st.floats(0, 3)), max_size=40))
    def test_row_70_it_never_goes_back_and_is_never_written_too_often(self, told: list[tuple[int, float]]) -> None:
        status, moment, written = RUNNING, NOW, [NOW - timedelta(days=1)]
        percents = [0]
        for percent, pause in told:
            moment += timedelta(seconds=pause)
            answer = progress(job(status), 1, (percent, None), LEASE, moment)
            assert isinstance(answer, Step)
            if answer.write:
                assert moment - written[-1] >= timedelta(seconds=PROGRESS_GAP)
                written.append(moment)
                status = answer.status
                assert status.progress is not None
                percents.append(status.progress.percent or 0)
        assert percents == sorted(percents)


class TestReport:
    @pytest.mark.parametrize("status", [CLAIMED, RUNNING, STOPPING])
    def test_it_is_taken_once(self, status: JobStatus) -> None:
        after = taken(report(job(status), FAILURE, {"a": 1}))
        assert after == replace(status, report=FAILURE, result={"a": 1})
        assert unchanged(report(job(after), replace(FAILURE, time=at(99)), {"a": 1}), after)

    @pytest.mark.parametrize(
        ("said", "result"),
        [
            (SUCCESS, {"a": 1}),
            (FAILURE, {"a": 2}),
            (FAILURE, None),
            (replace(FAILURE, message=None), {"a": 1}),
            (replace(FAILURE, exit_code=4), {"a": 1}),
        ],
    )
    def test_another_after_it_is_denied(self, said: Report, result: Any) -> None:
        after = taken(report(job(RUNNING), FAILURE, {"a": 1}))
        assert denial(report(job(after), said, result)) == (Denial.OVER, 1)

    @pytest.mark.parametrize("state", State)
    def test_row_67_the_same_again_has_the_same_answer_when_the_job_is_over(self, state: State) -> None:
        over = replace(RUNNING, state=state, reason="Any", report=SUCCESS, result={"a": [None, {"b": 1}]})
        assert unchanged(report(job(over), SUCCESS, {"a": [None, {"b": 1, "c": None}], "d": None}), over)

    def test_texts_are_bounded_and_still_the_same(self) -> None:
        long = replace(FAILURE, message="x" * 5000)
        after = taken(report(job(RUNNING), long, None))
        assert after.report is not None
        assert len(after.report.message or "") <= 512
        assert unchanged(report(job(after), long, None), after)

    def test_fields_that_are_null_are_left_out(self) -> None:
        assert without_nulls({"a": None, "b": [None, {"c": None}], "d": 0}) == {"b": [None, {}], "d": 0}


class TestJudge:
    def test_unclaimed_it_has_not_begun(self) -> None:
        seen = judge(job(WAITING), NOW)
        assert (seen.phase, seen.reason) == (Phase.STARTING, Reason.AWAITING_WORKER)
        assert seen.message == WAITING.message
        assert judge(job(replace(WAITING, reason=Reason.STOPPING.value)), NOW).message == "no worker has claimed it"

    def test_claimed_it_runs_until_the_lease_has_passed_and_a_moment_more(self) -> None:
        seen = judge(job(RUNNING), later(59 + LEASE_GRACE))
        assert (seen.phase, seen.node, seen.start_time) == (Phase.RUNNING, "w1", at(0))
        assert lost_at(RUNNING) == later(60 + LEASE_GRACE)
        lost = judge(job(RUNNING), later(60 + LEASE_GRACE))
        assert (lost.phase, lost.reason, lost.charged) == (Phase.FAILED, Reason.WORKER_LOST, True)
        assert "w1" in lost.message

    def test_the_report_counts_whenever_it_is_seen(self) -> None:
        done = judge(job(replace(RUNNING, report=SUCCESS)), later(999))
        assert (done.phase, done.reason, done.message, done.completion_time) == (Phase.SUCCEEDED, None, "", at(30))
        failed = judge(job(replace(RUNNING, report=FAILURE)), later(999))
        assert (failed.phase, failed.reason, failed.exit_code) == (Phase.FAILED, Reason.FAILED, 3)
        assert failed.message == "no space left"
        silent = judge(job(replace(RUNNING, report=replace(FAILURE, message=None))), NOW)
        assert silent.message == "worker w1 reported a failure"


class TestWhatTheOperatorDoes:
    def test_it_waits_for_a_worker_without_a_write(self) -> None:
        assert decided(job(WAITING), 0) == JobDecision(wake=later(600))

    def test_a_wrong_reason_is_put_right(self) -> None:
        status = decided(job(replace(WAITING, message="old", reason="Running")), 1).status
        assert status is not None
        assert (status.reason, status.message) == ("AwaitingWorker", "no worker has claimed it")

    def test_b031_unclaimed_it_ends_at_its_timeout_in_one_write(self) -> None:
        record = job(WAITING, timeout=10)
        assert decided(record, 9.9) == JobDecision(wake=later(10))
        status = decided(record, 10).status
        assert status is not None
        assert (status.state, status.reason) == (State.ERROR, "Timeout")
        assert status.message == (
            "ran longer than 10 s, pending all the time: no worker has claimed it from queue render"
        )

    def test_start_timeout(self) -> None:
        status = decided(job(WAITING), 600).status
        assert status is not None
        assert (status.state, status.reason) == (State.ERROR, "StartTimeout")
        assert decided(job(RUNNING), 7, timeouts=Timeouts(start=5)).status is None

    def test_claimed_it_runs_and_is_looked_at_again_when_the_lease_has_passed(self) -> None:
        assert decided(job(CLAIMED), 1).wake == later(5)
        told = decided(job(CLAIMED), 5)
        assert told.status is not None
        assert (told.status.reason, told.status.message) == ("Running", None)
        assert decided(job(RUNNING), 6) == JobDecision(wake=later(60 + LEASE_GRACE))

    @pytest.mark.parametrize(("retries", "state"), [(0, State.ERROR), (1, State.READY)])
    def test_b064_a_lost_worker_is_a_failed_attempt(self, retries: int, state: State) -> None:
        status = decided(job(RUNNING, retry_attempt=retries), 62).status
        assert status is not None
        assert (status.state, status.failures) == (state, 1)
        assert status.reason == ("WorkerLost" if state is State.ERROR else "RetryBackoff")
        entry = status.attempts[-1]
        assert (entry.outcome, entry.reason, entry.node, entry.charged) == ("Lost", "WorkerLost", "w1", True)

    def test_a_report_ends_it(self) -> None:
        status = decided(job(replace(RUNNING, report=SUCCESS, result={"a": 1})), 30).status
        assert status is not None
        assert (status.state, status.reason, status.result) == (State.DONE, "Succeeded", {"a": 1})
        failed = decided(job(replace(RUNNING, report=FAILURE)), 30).status
        assert failed is not None
        assert (failed.state, failed.reason, failed.attempts[-1].exit_code) == (State.ERROR, "Failed", 3)

    def test_a_timeout_is_written_and_ends_with_the_report_or_the_lease(self) -> None:
        begun = decided(job(RUNNING, timeout=30), 30).status
        assert begun is not None
        assert (begun.state, begun.reason, begun.message) == (State.IN_PROGRESS, "Stopping", "ran longer than 30 s")
        assert decided(job(begun), 31) == JobDecision(wake=later(62))
        silent = "ran longer than 30 s; its worker did not say that it has ended it, and may still be at it"
        for record, seconds, message in (
            (job(replace(begun, report=SUCCESS)), 33, "ran longer than 30 s"),
            (job(begun), 62, silent),
        ):
            ended = decided(record, seconds).status
            assert ended is not None
            assert (ended.state, ended.reason, ended.attempts[-1].outcome) == (State.ERROR, "Timeout", "Timeout")
            assert ended.message == message

    def test_a_cancel_ends_at_once_what_nobody_has_claimed(self) -> None:
        first = decided(job(WAITING), 1, closing=CANCEL).status
        assert first is not None
        assert (first.state, first.reason) == (State.READY, "Stopping")
        then = decided(job(first), 1, closing=CANCEL).status
        assert then is not None
        assert (then.state, then.reason) == (State.CANCELLED, "UserCancelled")
        assert pending_stop(then) is None

    def test_a_cancel_waits_for_the_worker(self) -> None:
        first = decided(job(RUNNING), 10, closing=CANCEL).status
        assert first is not None
        waits = decided(job(first), 11, closing=CANCEL)
        assert (waits.action, waits.status, waits.wake) == (Action.NONE, None, later(62))
        told = decided(job(replace(first, report=SUCCESS)), 12, closing=CANCEL).status
        assert told is not None
        assert (told.state, told.message) == (State.CANCELLED, CANCEL.message)
        silent = decided(job(first), 62, closing=CANCEL).status
        assert silent is not None
        assert silent.state is State.CANCELLED
        assert "may still be at it" in (silent.message or "")


REQUESTS = st.sampled_from(["claim", "claim2", "beat", "progress", "done", "failed"])


@given(st.lists(st.tuples(REQUESTS, st.floats(0, 40)), max_size=20))
def test_row_67_each_request_replayed_makes_one_transition(requests: list[tuple[str, float]]) -> None:
    """Whatever workers send: a request right after itself writes nothing, and a claim or report is never replaced."""
    status, moment = WAITING, NOW
    for kind, pause in requests:
        moment += timedelta(seconds=pause)
        first = asked(kind, status, moment)
        if isinstance(first, Step):
            assert asked(kind, first.status, moment) == Step(first.status, write=False)
            after = first.status
            assert claim_of(status) is None or claim_of(after) is not None
            assert (status.claim is None) or (after.claim is not None and after.claim.worker == status.claim.worker)
            assert status.report is None or after.report == status.report
            assert (after.state, after.reason, after.attempts) == (status.state, status.reason, status.attempts)
            status = after


def asked(kind: str, status: JobStatus, moment: Any) -> Step | Denied:
    record = job(status)
    match kind:
        case "claim":
            return claim(record, "w1", "r1", LEASE, moment)
        case "claim2":
            return claim(record, "w2", "r2", LEASE, moment)
        case "beat":
            return heartbeat(record, 1, LEASE, moment)
        case "progress":
            return progress(record, 1, (50, None), LEASE, moment)
        case "done":
            return report(record, SUCCESS, {"a": 1})
        case _:
            return report(record, FAILURE, None)


@pytest.mark.parametrize(
    ("said", "seen"),
    [(None, "Failed"), ("RequestFailed", "RequestFailed"), ("ConfigError", "ConfigError"), ("OfTheFuture", "Failed")],
)
def test_a_worker_may_say_why_it_failed(said: str | None, seen: str) -> None:
    status = replace(RUNNING, report=replace(FAILURE, reason=said))
    assert judge(job(status), NOW).reason == seen
