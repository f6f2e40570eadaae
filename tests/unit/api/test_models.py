"""Models: strict, frozen, camelCase; a status can be read across versions."""

from typing import Any

import pytest
from pydantic import ValidationError

from task_pipeline.api.pipeline import JobSpec, PipelineStatus, StageStatus
from task_pipeline.api.pipelinejob import Attempt, PipelineJobStatus, WorkloadRef
from task_pipeline.api.reasons import Reason
from task_pipeline.api.states import State

TIME = "2026-01-31T23:59:59.000001Z"


def test_a_pipeline_status_goes_to_the_wire_and_back() -> None:
    status = PipelineStatus(
        observed_generation=3,
        state=State.IN_PROGRESS,
        reason=Reason.STAGE_RUNNING,
        stages=(StageStatus(name="build", state=State.IN_PROGRESS, total=2, waiting=1, running=1),),
        start_time=TIME,
        divided=0,
    )
    wire = status.to_dict()
    assert wire["observedGeneration"] == 3
    assert wire["state"] == "IN PROGRESS"
    assert wire["stages"][0]["waiting"] == 1
    assert "completionTime" not in wire
    assert PipelineStatus.model_validate(wire) == status
    assert PipelineStatus.model_validate(wire).reason == Reason.STAGE_RUNNING


def test_the_defaults_of_a_status_are_those_of_the_schema() -> None:
    assert PipelineStatus.model_validate({"observedGeneration": -1, "state": "READY"}) == PipelineStatus()
    assert PipelineJobStatus.model_validate({"state": "READY", "reason": "Queued"}) == PipelineJobStatus()


def test_a_status_of_a_newer_version_can_be_read() -> None:
    status = PipelineJobStatus.model_validate({"state": "ERROR", "reason": "Meteor", "impact": {"crater": 3}})
    assert (status.state, status.reason) == (State.ERROR, "Meteor")


def test_attempts_are_written_in_camel_case() -> None:
    attempt = Attempt(attempt=1, exit_code=3, workload=WorkloadRef(kind="Pod", name="p"), start_time=TIME)
    assert PipelineJobStatus(attempts=(attempt,), attempt=1).to_dict()["attempts"] == [
        {"attempt": 1, "exitCode": 3, "workload": {"kind": "Pod", "name": "p"}, "startTime": TIME}
    ]


@pytest.mark.parametrize(
    ("field", "value"),
    [("attempt", "1"), ("attempt", True), ("attempt", 1.0), ("state", "DOING"), ("attempts", {"attempt": 1})],
)
def test_nothing_is_coerced(field: str, value: Any) -> None:
    with pytest.raises(ValidationError):
        PipelineJobStatus.model_validate({field: value})


def test_models_are_frozen_and_take_their_field_names() -> None:
    job = JobSpec(name="a", stage="s", kind="Shell", version="1.0.0", retry_attempt=2)
    assert job.retries == 2
    with pytest.raises(ValidationError):
        job.name = "b"  # type: ignore[misc]


def test_what_is_null_inside_params_stays() -> None:
    job = JobSpec(name="a", stage="s", kind="Shell", version="1.0.0", params={"a": None, "b": {"c": None}})
    assert job.to_dict()["params"] == {"a": None, "b": {"c": None}}
