"""What a PipelineClient says of itself."""

from msgspec.structs import replace

from task_pipeline.core.client_status import client_status
from tests import make


def test_a_client_that_can_be_used_is_ready() -> None:
    status = client_status(make.client(generation=3), running=2, queued=5, now=make.moment())
    assert (status.observed_generation, status.running, status.queued) == (3, 2, 5)
    (ready,) = status.conditions
    assert (ready.type, ready.status, ready.reason, ready.last_transition_time) == (
        "Ready",
        "True",
        "Accepted",
        make.at(),
    )


def test_a_suspended_or_invalid_one_is_not_and_says_why() -> None:
    suspended = client_status(make.client(suspend=True), running=0, queued=0, now=make.moment())
    assert (suspended.conditions[0].status, suspended.conditions[0].reason) == ("False", "ClientSuspended")
    invalid = client_status(make.client(fault="spec.priority: too large"), running=0, queued=0, now=make.moment())
    assert (invalid.conditions[0].reason, invalid.conditions[0].message) == ("InvalidSpec", "spec.priority: too large")


def test_the_time_of_a_condition_moves_only_with_its_status() -> None:
    first = client_status(make.client(), running=0, queued=0, now=make.moment())
    later = client_status(make.client(status=first, generation=2), running=1, queued=0, now=make.moment(60))
    assert later.conditions[0] == replace(first.conditions[0], observed_generation=2)
    closed = client_status(make.client(status=first, suspend=True), running=0, queued=0, now=make.moment(60))
    assert closed.conditions[0].last_transition_time == make.at(60)
