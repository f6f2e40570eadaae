"""How an attempt's end is told and what follows: rows 4 to 7 and 10 of the semantics, and field cases."""

from typing import Any

import pytest
from msgspec.structs import replace

from task_pipeline.api.reasons import Reason
from task_pipeline.api.states import State
from task_pipeline.core.attempts import begin_stop, pending_stop
from task_pipeline.core.job_decision import Action, JobDecision, WorkloadFacts, decide_job
from task_pipeline.core.records import Attempt, JobStatus
from task_pipeline.core.retry import NOT_RETRIED
from task_pipeline.core.waiting import Wait
from task_pipeline.core.workload import Observation, Phase
from tests.unit.core.job_builders import (
    EVICTED,
    FAILED,
    NOW,
    RUNNING,
    STARTING,
    SUSPENDED,
    at,
    facts,
    job,
    later,
    running,
    saw,
)

GONE = WorkloadFacts(gone=True)
BAD_IMAGE = Observation(Phase.STARTING, Reason.INVALID_IMAGE_NAME, "InvalidImageName: no", permanent=True)
NO_SHELL = Observation(Phase.FAILED, Reason.START_ERROR, "no /bin/sh", exit_code=128, permanent=True)


def written(decision: JobDecision) -> JobStatus:
    """The status that the decision writes."""
    assert decision.status is not None
    return decision.status


def decided(status: JobStatus, seen: Observation | None, seconds: float = 0, **spec: Any) -> JobStatus:
    """The status that follows when the workload is seen like that, `seconds` after NOW."""
    workload = GONE if seen is None else saw(seen)
    return written(decide_job(facts(job(status, **spec), workload), later(seconds)))


class TestHopeless:
    def test_semantics_10_an_invalid_image_is_stopped_at_once_and_not_retried(self) -> None:
        stopping = decided(running(1), BAD_IMAGE, retry_attempt=5)
        assert (stopping.state, stopping.reason) == (State.IN_PROGRESS, "Stopping")
        ended = decided(stopping, None, 2, retry_attempt=5)
        assert (ended.state, ended.reason) == (State.ERROR, "InvalidImageName")
        assert ended.message == f"InvalidImageName: no; {NOT_RETRIED}"
        assert [(one.reason, one.charged) for one in ended.attempts] == [("InvalidImageName", True)]

    def test_semantics_10_a_container_that_cannot_be_started_is_not_retried(self) -> None:
        ended = decided(running(1), NO_SHELL, retry_attempt=5)
        assert (ended.state, ended.message) == (State.ERROR, f"no /bin/sh; {NOT_RETRIED}")
        assert ended.attempts[0].message == "no /bin/sh"

    def test_nothing_is_said_about_retries_where_none_is_left(self) -> None:
        assert decided(running(1), NO_SHELL).message == "no /bin/sh"
        used = running(1, failures=2)
        assert decided(used, NO_SHELL, retry_attempt=2).message == "no /bin/sh"

    def test_a_start_error_that_may_pass_is_retried(self) -> None:
        passing = replace_permanent(NO_SHELL)
        assert decided(running(1), passing, retry_attempt=1).reason == "RetryBackoff"


def replace_permanent(seen: Observation) -> Observation:
    """The same end, but one that may not come again."""
    return Observation(seen.phase, seen.reason, seen.message, exit_code=seen.exit_code)


class TestTaken:
    @pytest.mark.parametrize(("reason", "charged"), [(Reason.LOST, False), (Reason.EVICTED, False), ("Timeout", True)])
    def test_semantics_6_what_is_stopped_because_it_was_taken_is_not_charged(
        self, reason: Reason, charged: bool
    ) -> None:
        stop = pending_stop(begin_stop(running(1), Reason(reason), "why"))
        assert stop is not None
        assert stop.charged is charged

    def test_semantics_6_at_most_three_in_a_row_are_free(self) -> None:
        status, charged = JobStatus(), []
        for number in range(1, 6):
            earlier = status.attempts
            status = decided(running(1, attempt=number, attempts=earlier, failures=status.failures), EVICTED)
            charged.append(status.attempts[-1].charged)
            if status.state is State.ERROR:
                break
        assert charged == [False, False, False, True]
        assert (status.state, status.reason) == (State.ERROR, "Evicted")

    def test_semantics_6_a_failure_of_its_own_begins_a_new_row(self) -> None:
        free = Attempt(attempt=1, outcome="Evicted", charged=False)
        own = Attempt(attempt=4, outcome="Failed", charged=True)
        status = running(1, attempt=5, attempts=(free, free, free, own), failures=1)
        assert decided(status, EVICTED, retry_attempt=2).attempts[-1].charged is False

    @pytest.mark.parametrize(("after_grace", "over"), [(59.0, False), (61.0, True)])
    def test_semantics_6_an_unreachable_node_60_s_after_the_grace_period(self, after_grace: float, over: bool) -> None:
        seen = Observation(Phase.RUNNING, message="DeletionByTaintManager: node is unreachable")
        lost = facts(job(running(100), retry_attempt=1), saw(seen, deletion=at(-after_grace)))
        decision = decide_job(lost, NOW)
        if not over:
            assert decision.action is Action.NONE
            assert decision.wake == later(60 - after_grace)
            return
        status = written(decision)
        assert (status.reason, status.attempts[-1].reason, status.attempts[-1].charged) == (
            "RetryBackoff", "Lost", False,
        )  # fmt: skip
        for words in ("node is unreachable", "its node does not answer, it may still be running"):
            assert words in (status.attempts[-1].message or "")


class TestTimeouts:
    def message(self, seen: Observation, ran: float = 70, **spec: Any) -> str:
        """Why an attempt launched `ran` seconds ago is being stopped."""
        status = decided(running(ran), seen, **({"timeout": 60} | spec))
        assert status.reason == "Stopping"
        return status.message or ""

    def test_b096_the_timeout_names_the_helper_that_died(self) -> None:
        helper = "container db ended: OOMKilled, exit code 137 (SIGKILL), restarts: 3"
        assert self.message(Observation(Phase.RUNNING, message=helper)) == f"ran longer than 60 s: {helper}"

    def test_b029_the_timeout_says_how_long_the_pod_was_pending(self) -> None:
        seen = Observation(Phase.RUNNING, start_time=at(-28.5))
        assert self.message(seen) == "ran longer than 60 s, 41 s of them pending"

    def test_b029_a_pod_that_never_ran_was_pending_all_the_time(self) -> None:
        seen = Observation(Phase.STARTING, Reason.UNSCHEDULABLE, "Unschedulable: 0/3 nodes are available")
        expected = "ran longer than 60 s, pending all the time: Unschedulable: 0/3 nodes are available"
        assert self.message(seen) == expected
        assert self.message(STARTING) == "ran longer than 60 s, pending all the time"

    @pytest.mark.parametrize("start", [None, at(-69.5), at(-80)])
    def test_b029_nothing_is_said_of_less_than_a_second(self, start: str | None) -> None:
        assert self.message(Observation(Phase.RUNNING, start_time=start)) == "ran longer than 60 s"

    def test_start_timeout_in_the_kubelets_words(self) -> None:
        seen = Observation(Phase.STARTING, Reason.CONFIG_ERROR, 'secret "x" not found')
        assert self.message(seen, timeout=900, start_timeout=60) == 'not started within 60 s: secret "x" not found'


class TestExternalHold:
    """Semantics 7: a Kubernetes Job suspended by someone else is ExternallyQueued, and its clocks stand still."""

    SPEC: dict[str, Any] = {"timeout": 100, "start_timeout": 30}  # noqa: RUF012

    def test_semantics_7_the_time_before_the_suspension_is_not_forgotten(self) -> None:
        status = decided(running(40), SUSPENDED, **self.SPEC)
        assert (status.state, status.reason, status.start_time) == (State.IN_PROGRESS, "ExternallyQueued", at(-40))
        assert [(one.type, one.status) for one in status.conditions] == [("Suspended", "True")]
        assert decide_job(facts(job(status, **self.SPEC), saw(SUSPENDED)), later(5000)) == JobDecision()
        status = decided(status, RUNNING, 5000, **self.SPEC)
        assert (status.reason, status.start_time) == ("Starting", at(4960))
        assert decided(status, RUNNING, 5059, **self.SPEC).reason == "Running"
        assert decided(status, RUNNING, 5061, **self.SPEC).reason == "Stopping"

    def test_semantics_7_only_the_time_to_start_begins_anew(self) -> None:
        status = decided(decided(running(40), SUSPENDED, **self.SPEC), STARTING, 1000, **self.SPEC)
        assert decide_job(facts(job(status, **self.SPEC), saw(STARTING)), later(1029)).action is Action.NONE
        late = decided(status, STARTING, 1031, **self.SPEC)
        assert late.message == "not started within 30 s"

    def test_semantics_7_a_second_suspension_adds_to_the_first(self) -> None:
        status = running(40)
        for since, until in ((0.0, 1000.0), (1010.0, 3000.0)):
            status = decided(status, SUSPENDED, since, **self.SPEC)
            assert status.conditions[0].last_transition_time == at(since)
            status = decided(status, RUNNING, until, **self.SPEC)
        assert status.start_time == at(3000 - 50)

    def test_a_changed_message_keeps_the_beginning(self) -> None:
        status = decided(running(40), SUSPENDED, **self.SPEC)
        other = decided(status, Observation(Phase.SUSPENDED, message="again"), 50, **self.SPEC)
        assert (other.message, other.conditions) == ("again", status.conditions)

    def test_a_status_without_the_condition_is_held_since_its_launch(self) -> None:
        """A status that an older operator has written."""
        status = running(40, reason="ExternallyQueued")
        assert decided(status, RUNNING, 60, **self.SPEC).start_time == at(60)
        timeless = decided(replace(status, start_time=None), RUNNING, 60, **self.SPEC)
        assert timeless.start_time == at(60)

    def test_the_condition_ends_with_the_attempt(self) -> None:
        status = decided(decided(running(40), SUSPENDED, **self.SPEC), RUNNING, 60, **self.SPEC)
        assert decided(status, FAILED, 61, retry_attempt=1, **self.SPEC).conditions == ()
        assert {one.type for one in decided(status, FAILED, 61, **self.SPEC).conditions} == {"Finished", "Succeeded"}


def test_b046_b049_what_a_success_has_to_say_is_told() -> None:
    seen = Observation(Phase.SUCCEEDED, Reason.OOM_KILLED, "exit code 0, although a process was killed", exit_code=0)
    done = decided(running(1), seen)
    assert (done.state, done.reason, done.message) == (State.DONE, "Succeeded", seen.message)
    assert (done.attempts[-1].outcome, done.attempts[-1].reason) == ("Succeeded", "OOMKilled")


class TestRollout:
    """What outlives its job (a Deployment) tells once what holds it up: its numbers change all the time."""

    SEEN = Observation(Phase.RUNNING, message="1 of 3 updated")

    def told(self, ran: float, message: str | None = None, seen: Observation = SEEN) -> JobDecision:
        """The decision about a rollout of `ran` seconds."""
        status = running(ran, reason="Running", message=message)
        return decide_job(facts(job(status), saw(seen, stoppable=False)), NOW)

    def test_b047_a_slow_rollout_says_what_holds_it_up_and_since_when(self) -> None:
        assert self.told(9).wake == later(1)
        assert self.told(9).status is None
        assert written(self.told(11)).message == "after 10 s: 1 of 3 updated"

    def test_once(self) -> None:
        assert self.told(60, "after 10 s: 0 of 3 updated").status is None
        assert self.told(60, seen=RUNNING).status is None


def test_a_reason_for_the_wait_that_may_be_told_is_written_once() -> None:
    wait = Wait(Reason.CLIENT_LIMIT, "client acme 3/3 running")
    told = written(decide_job(facts(job(), wait=wait), NOW))
    assert (told.reason, told.message) == ("ClientLimit", "client acme 3/3 running")
    assert decide_job(facts(job(told), wait=wait), NOW).status is None
