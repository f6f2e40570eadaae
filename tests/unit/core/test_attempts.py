"""The list of attempts: what it keeps, how a stop is remembered, how many attempts there are."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from task_pipeline.api.reasons import Reason
from task_pipeline.api.states import State
from task_pipeline.core.attempts import Outcome, begin_stop, finish, pending_stop
from task_pipeline.core.job_decision import WorkloadFacts, decide_job, launched
from task_pipeline.core.records import Attempt, JobRecord, JobStatus
from task_pipeline.core.workload import Observation, Phase
from tests.unit.core.job_builders import (
    EVICTED,
    FAILED,
    NOW,
    POD,
    STEADY,
    SUCCEEDED,
    at,
    attempts,
    facts,
    job,
    running,
    saw,
    texts,
)


def run_to_end(record: JobRecord, seen: list[Observation]) -> tuple[JobRecord, int]:
    """Launch `record` again and again, ending each attempt as `seen` says; the final record and the attempts made."""
    for number, observation in enumerate(seen, start=1):
        going = replace(record, status=launched(record.status, number, POD, NOW))
        status = decide_job(facts(going, saw(observation)), NOW).status
        assert status is not None
        record = replace(record, status=status)
        if record.final:
            return record, number
    return record, len(seen)


@pytest.mark.parametrize("retries", [0, 1, 3, 12, 100])
def test_exactly_one_and_n_attempts_are_charged(retries: int) -> None:
    record, made = run_to_end(job(retry_attempt=retries), [FAILED] * 200)
    assert (record.status.state, made, record.status.failures) == (State.ERROR, retries + 1, retries + 1)
    assert len(record.status.attempts) == min(10, retries + 1)
    assert record.status.attempts[-1].attempt == retries + 1


def test_losses_are_given_back_three_times_in_a_row() -> None:
    record, made = run_to_end(job(), [EVICTED] * 9)
    assert (record.status.state, made, record.status.failures) == (State.ERROR, 4, 1)
    assert [one.charged for one in record.status.attempts] == [False, False, False, True]


def test_a_failure_between_losses_begins_the_row_again() -> None:
    seen = [EVICTED, EVICTED, EVICTED, FAILED, EVICTED, EVICTED, EVICTED, SUCCEEDED]
    record, made = run_to_end(job(retry_attempt=1), seen)
    assert (record.status.state, made, record.status.failures) == (State.DONE, 8, 1)


@given(st.integers(0, 12), st.lists(st.sampled_from([EVICTED, FAILED]), min_size=60, max_size=60))
def test_whatever_the_order_charged_attempts_are_one_and_n_and_free_ones_bounded(
    retries: int, seen: list[Observation]
) -> None:
    record, made = run_to_end(job(retry_attempt=retries), seen)
    assert record.final
    assert record.status.failures == retries + 1
    assert made <= 4 * (retries + 1)


def test_a_stop_is_remembered_across_a_restart() -> None:
    status = begin_stop(running(), Reason.TIMEOUT, "ran longer than 60 s")
    assert (status.state, status.reason, status.message) == (State.IN_PROGRESS, "Stopping", "ran longer than 60 s")
    restored = msgspec.json.decode(msgspec.json.encode(status), type=JobStatus)
    assert restored == status
    assert pending_stop(restored) == Observation(Phase.FAILED, Reason.TIMEOUT, "ran longer than 60 s")


@pytest.mark.parametrize(
    ("listed", "stop"),
    [
        ((), None),
        ((Attempt(attempt=1, outcome="ERROR", reason="Timeout"),), None),
        ((Attempt(attempt=1),), Observation(Phase.FAILED, Reason.FAILED, "")),
        ((Attempt(attempt=1, reason="FromTheFuture", message="m"),), Observation(Phase.FAILED, Reason.FAILED, "m")),
        ((Attempt(attempt=1, reason="StartTimeout"),), Observation(Phase.FAILED, Reason.START_TIMEOUT, "")),
    ],
)
def test_a_stop_is_the_last_entry_without_an_outcome(listed: tuple[Attempt, ...], stop: Observation | None) -> None:
    assert pending_stop(running(attempts=listed)) == stop


@given(st.lists(attempts, max_size=10).map(tuple), texts, st.sampled_from([State.DONE, State.ERROR, State.CANCELLED]))
def test_ending_closes_the_open_entry_and_keeps_ten(listed: tuple[Attempt, ...], message: str, outcome: State) -> None:
    stopped = begin_stop(running(attempts=listed), Reason.TIMEOUT, message)
    assert len(stopped.attempts) <= 10
    assert pending_stop(stopped) is not None
    status = finish(job(stopped), Observation(Phase.FAILED, message=message), outcome=outcome, now=NOW)
    assert len(status.attempts) <= 10
    assert all(one.outcome is not None for one in status.attempts)
    assert status.attempts[-1].outcome == {"DONE": "Succeeded", "ERROR": "Failed", "CANCELLED": "Cancelled"}[outcome]
    assert pending_stop(status) is None


def test_an_entry_tells_everything_that_was_seen() -> None:
    seen = Observation(
        Phase.FAILED, Reason.OOM_KILLED, "out of memory", exit_code=137, node="n-1", completion_time=at(-1)
    )
    status = finish(job(running(60)), seen, outcome=State.ERROR, now=NOW)
    assert status.attempts == (
        Attempt(
            attempt=1, outcome="Failed", reason="OOMKilled", message="out of memory", exit_code=137, charged=True,
            workload=POD, node="n-1", start_time=at(-60), completion_time=at(-1),
        ),
    )  # fmt: skip
    plain = finish(job(running(60)), SUCCEEDED, outcome=State.DONE, now=NOW).attempts[0]
    assert (plain.reason, plain.message, plain.workload, plain.completion_time) == (None, None, None, at(0))


@pytest.mark.parametrize(
    ("reason", "outcome"),
    [
        (Reason.TIMEOUT, "Timeout"),
        (Reason.START_TIMEOUT, "Timeout"),
        (Reason.EVICTED, "Evicted"),
        (Reason.LOST, "Lost"),
        (Reason.WORKER_LOST, "Lost"),
        (Reason.EXIT_CODE, "Failed"),
        (None, "Failed"),
    ],
)
def test_a_failed_attempt_has_one_word_for_its_end(reason: Reason | None, outcome: str) -> None:
    ended = finish(job(running()), Observation(Phase.FAILED, reason), outcome=State.ERROR, now=NOW)
    assert ended.attempts[-1].outcome == Outcome(outcome).value


def test_a_status_without_a_number_counts_as_the_first_attempt() -> None:
    bare = running(attempt=None)
    assert begin_stop(bare, Reason.TIMEOUT, "").attempts[-1].attempt == 1
    assert finish(job(bare), FAILED, outcome=State.ERROR, now=NOW).attempts[-1].attempt == 1


def test_pauses_grow_with_charged_failures_only() -> None:
    lost = decide_job(facts(job(running()), saw(EVICTED), backoff=STEADY), NOW).status
    assert lost is not None
    assert (lost.failures, lost.next_attempt_time) == (None, at(10))
    third = running(failures=2, attempt=3)
    failed = decide_job(facts(job(third, retry_attempt=5), saw(FAILED), backoff=STEADY), NOW).status
    assert failed is not None
    assert (failed.failures, failed.next_attempt_time) == (3, at(40))


def test_a_lost_workload_is_a_loss_like_an_eviction() -> None:
    status = decide_job(facts(job(running()), WorkloadFacts(gone=True)), NOW).status
    assert status is not None
    assert [(one.reason, one.charged) for one in status.attempts] == [("Lost", False)]
