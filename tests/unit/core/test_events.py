"""Which change of a status is worth a Kubernetes Event, and what the Event says."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from task_pipeline.api.reasons import Reason
from task_pipeline.api.resources import PIPELINE_JOBS, PIPELINES
from task_pipeline.api.states import State
from task_pipeline.core.events import Event, body_of, event_of
from task_pipeline.core.job_decision import JobFacts, decide_job, refused
from task_pipeline.core.records import Attempt, JobRecord, JobStatus, PipelineRecord, PipelineStatus
from tests.unit.core.job_builders import NOW, any_facts, at, job, pipeline, running, statuses, stopping, texts


def told(before: JobStatus, after: JobStatus) -> Event | None:
    return event_of(job(before), job(after))


def ended(state: State, reason: Reason, message: str | None = "it broke", **changes: Any) -> JobStatus:
    return running(state=state, reason=reason.value, message=message, **changes)


def summary(event: Event | None) -> tuple[str, str, str]:
    assert event is not None
    return event.reason, event.action, event.note


def begun_to_be_refused() -> JobStatus:
    """The first of the two statuses of a launch that the API server refuses for good."""
    return refused(job(JobStatus()), 1, Reason.POD_REJECTED, "spec.x: no", NOW)[0]


def retried(reason: Reason, number: int = 1) -> JobStatus:
    attempt = Attempt(attempt=number, outcome="Failed", reason=reason.value)
    message = f"attempt {number} ended with {reason}: it broke"
    return ended(State.READY, Reason.RETRY_BACKOFF, message, attempt=number, attempts=(attempt,))


@pytest.mark.parametrize("reason", [Reason.EXIT_CODE, Reason.TIMEOUT, Reason.LOST, Reason.EVICTED])
def test_an_attempt_that_is_retried_is_a_warning_with_its_own_reason(reason: Reason) -> None:
    event = told(running(), retried(reason))
    assert summary(event) == (reason, "Retry", f"attempt 1 ended with {reason}: it broke")


@pytest.mark.parametrize("reason", [Reason.EXIT_CODE, Reason.POD_REJECTED, Reason.CONFLICT, Reason.OOM_KILLED])
def test_the_end_of_a_job_is_a_warning(reason: Reason) -> None:
    event = told(running(), ended(State.ERROR, reason))
    assert summary(event) == (reason, "End", "it broke")
    assert event is not None
    assert (event.resource, event.namespace, event.name, event.uid) == (PIPELINE_JOBS, "ns", "p-j-hash", "u-1")


def test_a_job_that_waited_too_long_is_a_warning() -> None:
    event = told(JobStatus(), ended(State.CANCELLED, Reason.QUEUE_TIMEOUT))
    assert summary(event) == (Reason.QUEUE_TIMEOUT, "End", "it broke")


def test_a_slow_start_is_a_warning_when_its_message_comes() -> None:
    slow = running(message="Unschedulable: 0/3 nodes are available")
    assert summary(told(running(), slow)) == (Reason.STARTING, "Start", "Unschedulable: 0/3 nodes are available")
    assert told(slow, replace(slow, message="Unschedulable: 0/4 nodes are available")) is None


SILENT = {
    "a launch was refused": (JobStatus(), begun_to_be_refused()),
    "launched": (JobStatus(), running()),
    "running": (running(), running(reason=Reason.RUNNING.value)),
    "runs after a slow start": (running(message="slow"), running(reason=Reason.RUNNING.value)),
    "being stopped": (running(), running(reason=Reason.STOPPING.value, message="ran longer than 5 s")),
    "done": (running(), ended(State.DONE, Reason.SUCCEEDED, None)),
    "waits for another reason": (JobStatus(), JobStatus(reason=Reason.CLIENT_LIMIT.value, message="3/3 running")),
    "quota": (JobStatus(), JobStatus(reason=Reason.QUOTA_EXCEEDED.value, message="exceeded quota")),
    "cancel begins": (running(), stopping()),
    "cancelled while it ran": (stopping(), ended(State.CANCELLED, Reason.USER_CANCELLED)),
    "cancelled while it waited": (JobStatus(), ended(State.CANCELLED, Reason.USER_CANCELLED)),
    "a failure before it": (JobStatus(), ended(State.CANCELLED, Reason.UPSTREAM_FAILED)),
    "failFast": (JobStatus(), ended(State.CANCELLED, Reason.FAIL_FAST)),
    "the pause goes on": (retried(Reason.EXIT_CODE), retried(Reason.EXIT_CODE)),
    "nothing": (ended(State.ERROR, Reason.EXIT_CODE), ended(State.ERROR, Reason.EXIT_CODE)),
}


@pytest.mark.parametrize("case", SILENT)
def test_progress_waits_and_cancels_are_no_warning(case: str) -> None:
    assert told(*SILENT[case]) is None


def test_without_a_message_the_meaning_of_the_reason_is_told() -> None:
    event = told(running(), ended(State.ERROR, Reason.OOM_KILLED, None))
    assert "more memory than its limit" in summary(event)[2]
    unknown = told(running(), running(state=State.ERROR, reason="FromTheFuture"))
    assert summary(unknown)[2] == "FromTheFuture"


def test_a_retry_whose_attempt_says_nothing_is_told_all_the_same() -> None:
    event = told(running(), ended(State.READY, Reason.RETRY_BACKOFF))
    assert summary(event) == (Reason.FAILED, "Retry", "it broke")


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        (State.ERROR, Reason.JOB_FAILED),
        (State.ERROR, Reason.INVALID_SPEC),
        (State.ERROR, Reason.CLIENT_NOT_ALLOWED),
        (State.ERROR, Reason.DEADLINE_EXCEEDED),
        (State.DONE, Reason.SUCCEEDED_WITH_WARNINGS),
    ],
)
def test_the_end_of_a_pipeline_is_a_warning_unless_all_went_well(state: State, reason: Reason) -> None:
    status = PipelineStatus(state=state, reason=reason.value, message="2 failed")
    event = event_of(pipeline(status=PipelineStatus(state=State.IN_PROGRESS)), pipeline(status=status))
    assert summary(event) == (reason, "End", "2 failed")
    assert event is not None
    assert (event.resource, event.namespace, event.name, event.uid) == (PIPELINES, "ns", "p", "pu-1")


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        (State.READY, Reason.QUEUED),
        (State.READY, Reason.SUSPENDED),
        (State.IN_PROGRESS, Reason.STAGE_RUNNING),
        (State.IN_PROGRESS, Reason.STOPPING),
        (State.DONE, Reason.SUCCEEDED),
        (State.CANCELLED, Reason.USER_CANCELLED),
    ],
)
def test_what_else_becomes_of_a_pipeline_is_none(state: State, reason: Reason) -> None:
    status = PipelineStatus(state=state, reason=reason.value)
    assert event_of(pipeline(), pipeline(status=status)) is None


def test_an_edit_of_a_failed_pipeline_that_is_only_acknowledged_is_none() -> None:
    status = PipelineStatus(state=State.ERROR, reason=Reason.JOB_FAILED.value, message="failed", observed_generation=1)
    observed = replace(status, observed_generation=2)
    assert event_of(pipeline(status=status), pipeline(status=observed, generation=2)) is None


def test_another_fault_of_an_invalid_pipeline_and_another_run_are_told_apart() -> None:
    status = PipelineStatus(
        state=State.ERROR, reason=Reason.INVALID_SPEC.value, message="jobs[0].kind: unknown", completion_time=at(1)
    )
    first = event_of(pipeline(), pipeline(status=status))
    other = replace(status, message="jobs[1].kind: unknown", completion_time=at(2))
    edited = pipeline(status=other, generation=2)
    second = event_of(pipeline(status=status), edited)
    third = event_of(pipeline(), pipeline(status=replace(status, run=2)))
    assert first is not None
    assert second is not None
    assert third is not None
    assert first.key == second.key != third.key
    assert len({body_of(event, "me", NOW)["metadata"]["name"] for event in (first, second, third)}) == 3


def test_the_answer_to_a_rerun_is_no_failure() -> None:
    status = PipelineStatus(
        state=State.ERROR, reason=Reason.JOB_FAILED.value, message="failed in stage s: a", completion_time=at(1)
    )
    answered = replace(status, message="rerun 1 waits until spec.cancel is removed")
    assert event_of(pipeline(status=status), pipeline(status=answered, generation=2)) is None


def test_records_of_different_kinds_are_no_change() -> None:
    failed = job(ended(State.ERROR, Reason.EXIT_CODE))
    assert event_of(pipeline(), failed) is None
    assert event_of(failed, pipeline(status=PipelineStatus(state=State.ERROR))) is None


def test_the_body_is_a_whole_event() -> None:
    event = told(running(), ended(State.ERROR, Reason.EXIT_CODE))
    assert event is not None
    body = body_of(event, "operator-0", NOW)
    assert body.pop("metadata") == {"name": body_of(event, "other", NOW)["metadata"]["name"], "namespace": "ns"}
    assert body == {
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        "eventTime": at(0),
        "type": "Warning",
        "reason": "ExitCode",
        "note": "it broke",
        "action": "End",
        "regarding": {
            "apiVersion": "taskpipeline.dev/v1alpha1",
            "kind": "PipelineJob",
            "namespace": "ns",
            "name": "p-j-hash",
            "uid": "u-1",
        },
        "reportingController": "taskpipeline.dev/operator",
        "reportingInstance": "operator-0",
    }


def test_every_attempt_has_an_event_of_its_own_name() -> None:
    events = [told(running(), retried(Reason.EXIT_CODE, number)) for number in (1, 2)]
    names = {body_of(event, "me", NOW)["metadata"]["name"] for event in events if event is not None}
    assert len(names) == 2


def test_long_names_and_long_hosts_fit() -> None:
    status = PipelineStatus(state=State.ERROR, reason="JobFailed", message="x")
    event = event_of(pipeline(), pipeline(name="a" * 199 + "." + "b" * 53, status=status))
    assert event is not None
    body = body_of(event, "h" * 300, NOW)
    assert body["metadata"]["name"].startswith("a" * 199 + ".")
    assert len(body["metadata"]["name"]) <= 253
    assert ".." not in body["metadata"]["name"]
    assert len(body["reportingInstance"]) == 128
    assert body["regarding"]["name"] == event.name


@given(texts.map(lambda text: text * 300))
def test_a_note_is_never_longer_than_the_api_server_takes(message: str) -> None:
    event = told(running(), running(state=State.ERROR, reason="ExitCode", message=message))
    assert event is not None
    note = body_of(event, "me", NOW)["note"]
    assert 0 < len(note.encode()) <= 1024


@given(statuses, statuses)
def test_any_change_has_an_event_or_none_and_success_and_cancel_never(before: JobStatus, after: JobStatus) -> None:
    event = told(before, after)
    if after.state is State.DONE or (after.reason == Reason.USER_CANCELLED and after.state is State.CANCELLED):
        assert event is None
    if after.state is State.ERROR and before.state is not State.ERROR:
        assert event is not None


@given(any_facts)
def test_whatever_is_decided_about_a_job_can_be_told(facts: JobFacts) -> None:
    decision = decide_job(facts, NOW)
    if decision.status is not None:
        event = event_of(facts.job, replace(facts.job, status=decision.status))
        assert event is None or body_of(event, "me", NOW)["type"] == "Warning"


pipeline_statuses = st.builds(
    PipelineStatus,
    state=st.sampled_from(State),
    reason=st.none() | st.sampled_from(Reason).map(str),
    message=st.none() | texts,
    run=st.none() | st.integers(1, 3),
)


@given(pipeline_statuses, pipeline_statuses)
def test_a_pipeline_that_goes_well_or_is_cancelled_has_none(before: PipelineStatus, after: PipelineStatus) -> None:
    event = event_of(pipeline(status=before), pipeline(status=after))
    if after.state in (State.READY, State.IN_PROGRESS, State.CANCELLED) or after.reason == Reason.SUCCEEDED:
        assert event is None or after.state is State.ERROR


def of_any(records: tuple[JobRecord | PipelineRecord, ...]) -> list[Event | None]:
    return [event_of(one, one) for one in records]


def test_nothing_changed_is_nothing_told() -> None:
    failed = PipelineStatus(state=State.ERROR, reason="JobFailed", message="x")
    assert of_any((job(ended(State.ERROR, Reason.EXIT_CODE)), pipeline(status=failed))) == [None, None]
