"""Records and their wire form: a patch turns the old form into the new one, and records say whether they are final."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from task_pipeline.api.pipelinejob import PipelineJobStatus
from task_pipeline.api.states import TERMINAL, State
from task_pipeline.core.records import (
    ClientRecord,
    JobProgress,
    JobStatus,
    PipelineStatus,
    StageStatus,
    Wire,
    status_patch,
)
from tests.fakes.schema import completed, schema_of
from tests.unit.core.job_builders import POD, at, job, pipeline, running, statuses

values = st.recursive(
    st.integers() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abc", max_size=1), inner, max_size=3),
    max_leaves=8,
)
results = st.none() | st.dictionaries(st.text("abc", max_size=1), values, max_size=3)
progresses = st.none() | st.builds(
    JobProgress, percent=st.none() | st.integers(0, 100), message=st.none() | st.text(max_size=4)
)
job_statuses = st.builds(
    lambda status, progress, result: replace(status, progress=progress, result=result), statuses, progresses, results
)
pipeline_statuses = st.builds(
    PipelineStatus,
    observed_generation=st.integers(-1, 9),
    state=st.sampled_from(State),
    reason=st.none() | st.text(max_size=4),
    stages=st.lists(
        st.builds(StageStatus, st.text(max_size=3), st.sampled_from(State), total=st.integers(0, 3)), max_size=3
    ).map(tuple),
    failed_jobs=st.lists(st.text(max_size=3), max_size=3).map(tuple),
    warnings=st.none() | st.integers(1, 3),
)


def merged(target: Any, patch: Any) -> Any:
    """The result of a merge patch, as RFC 7396 defines it."""
    if not isinstance(patch, dict):
        return patch
    result = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = merged(result.get(name), value)
    return result


def assert_patched(old: Wire, new: Wire) -> None:
    patch = status_patch(old, new)
    assert merged(msgspec.to_builtins(old), patch) == msgspec.to_builtins(new)
    assert (patch == {}) is (old == new)


@given(job_statuses, job_statuses)
def test_a_patch_turns_the_old_job_status_into_the_new(old: JobStatus, new: JobStatus) -> None:
    assert_patched(old, new)


@given(pipeline_statuses, pipeline_statuses)
def test_a_patch_turns_the_old_pipeline_status_into_the_new(old: PipelineStatus, new: PipelineStatus) -> None:
    assert_patched(old, new)


@given(job_statuses)
def test_the_wire_form_reads_back(status: JobStatus) -> None:
    assert msgspec.json.decode(msgspec.json.encode(status), type=JobStatus) == status
    model = PipelineJobStatus.model_validate(msgspec.to_builtins(status), by_alias=True, by_name=False)
    assert (model.state, model.reason, len(model.attempts)) == (status.state, status.reason, len(status.attempts))


@given(job_statuses, job_statuses)
def test_what_the_api_server_answers_is_what_was_written(old: JobStatus, new: JobStatus) -> None:
    """With the schema's defaults put in: what reads back differently would be written again for ever."""
    before = completed("PipelineJob", {"status": msgspec.to_builtins(old)}, None)["status"]
    stored = completed("PipelineJob", {"status": merged(before, status_patch(old, new))}, None)["status"]
    assert msgspec.convert(stored, JobStatus) == new
    assert (stored["state"], stored["reason"]) == (new.state, new.reason)


@given(pipeline_statuses, pipeline_statuses)
def test_what_the_api_server_answers_for_a_pipeline_is_what_was_written(
    old: PipelineStatus, new: PipelineStatus
) -> None:
    before = completed("Pipeline", {"status": msgspec.to_builtins(old)}, None)["status"]
    stored = completed("Pipeline", {"status": merged(before, status_patch(old, new))}, None)["status"]
    assert msgspec.convert(stored, PipelineStatus) == new
    assert (stored["state"], stored["observedGeneration"]) == (new.state, new.observed_generation)


def test_a_patch_names_only_what_changed() -> None:
    old, new = running(), replace(running(), reason="Running", attempt=2)
    assert status_patch(old, new) == {"reason": "Running", "attempt": 2}
    assert status_patch(replace(old, message="m"), old) == {"message": None}
    assert status_patch(old, JobStatus())["state"] == "READY"


def test_what_vanishes_inside_an_object_is_named() -> None:
    old = JobStatus(progress=JobProgress(percent=50, message="half"), result={"a": 1, "b": {"c": 2, "d": 3}})
    new = JobStatus(progress=JobProgress(percent=60), result={"b": {"c": 2}})
    assert status_patch(old, new) == {
        "progress": {"percent": 60, "message": None},
        "result": {"a": None, "b": {"d": None}},
    }


@pytest.mark.parametrize("state", list(State))
def test_records_know_when_they_are_final(state: State) -> None:
    assert job(JobStatus(state=state)).final is (state in TERMINAL)
    assert pipeline(status=PipelineStatus(state=state)).final is (state in TERMINAL)


@pytest.mark.parametrize(("told", "run"), [(None, 1), (1, 1), (7, 7)])
def test_the_first_run_is_one(told: int | None, run: int) -> None:
    assert pipeline(status=PipelineStatus(run=told)).run == run


@pytest.mark.parametrize(
    ("listed", "namespace", "allowed"),
    [({"*"}, "ns", True), ({"ns"}, "ns", True), ({"ns"}, "ns2", False), (set(), "ns", False), ({"*"}, "", True)],
)
def test_a_client_lists_its_namespaces(listed: set[str], namespace: str, allowed: bool) -> None:
    client = ClientRecord(name="c", uid="u", rv=1, namespaces=frozenset(listed))
    assert client.allows(namespace) is allowed


def test_waiting_is_what_the_schema_says_anyway() -> None:
    for kind, status in (("PipelineJob", JobStatus()), ("Pipeline", PipelineStatus())):
        assert msgspec.to_builtins(status) == schema_of(kind)["properties"]["status"]["default"]
    assert msgspec.to_builtins(JobStatus(workload=POD, next_attempt_time=at(1))) == {
        "state": "READY",
        "reason": "Queued",
        "workload": {"kind": "Pod", "name": "p-1", "uid": "w-1"},
        "nextAttemptTime": "2031-04-17T12:00:01.000000Z",
    }
