"""Dividing a stage: complete, in order, the same every time, and always a valid PipelineJob."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from task_pipeline.api.decode import decode_pipeline_spec, decode_pipelinejob_spec
from task_pipeline.core.divider import drafts
from task_pipeline.core.records import PipelineJobView, PipelineStatus
from tests.unit.core.job_builders import job_spec, pipeline

STAGES = ("Build & Test", "deploy")
whole = st.integers(1, 10**11)
priorities = st.integers(-(2**31), 2**31 - 1)
params = st.dictionaries(st.text(max_size=5), st.none() | st.booleans() | st.integers() | st.text(max_size=5))
job_dicts = st.fixed_dictionaries(
    {
        "name": st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}", fullmatch=True),
        "stage": st.sampled_from(STAGES),
        "kind": st.sampled_from(["Shell", "K8S/Job"]),
        "version": st.just("1.0.0"),
    },
    optional={
        "priority": priorities,
        "params": params,
        "retryAttempt": st.integers(0, 100),
        "allow_failure": st.booleans(),
        "timeout": whole,
        "startTimeout": whole,
        "queueTimeout": whole,
    },
)
spec_dicts = st.fixed_dictionaries(
    {
        "stages": st.just(list(STAGES)),
        "jobs": st.lists(job_dicts, min_size=1, max_size=8, unique_by=lambda one: str(one["name"])),
    },
    optional={"clientId": st.just("team-a"), "priority": priorities},
)


@given(spec_dicts, st.integers(1, 2**31 - 1))
def test_every_draft_is_a_valid_job_and_says_all_that_the_pipeline_said(raw: dict[str, Any], run: int) -> None:
    asked_for = decode_pipeline_spec(raw)
    record = replace(pipeline(name="n.1"), spec=asked_for, status=PipelineStatus(run=run))
    made = [(place, one) for place in range(len(STAGES)) for one in drafts(record, place)]
    assert sorted(one["spec"]["index"] for _, one in made) == list(range(len(raw["jobs"])))
    for place, one in made:
        assert json.loads(json.dumps(one)) == one
        spec, asked = decode_pipelinejob_spec(one["spec"]), asked_for.jobs[one["spec"]["index"]]
        assert (spec.pipeline, spec.name, spec.run) == ("n.1", asked.name, run)
        assert (spec.stage, spec.stage_index) == (asked.stage, place) == (STAGES[place], place)
        assert (spec.kind, spec.version, spec.params) == (asked.kind, asked.version, asked.effective_params)
        assert (spec.client_id, spec.pipeline_priority) == (asked_for.client_id, asked_for.priority)
        assert (spec.priority, spec.retry_attempt) == (asked.effective_priority, asked.retries)
        assert spec.allow_failure is asked.failure_allowed
        assert (spec.timeout, spec.start_timeout) == (asked.timeout, asked.start_timeout)
        assert (spec.queue_timeout, spec.cancel) == (asked.queue_timeout, None)
    assert made == [(place, one) for place in range(len(STAGES)) for one in drafts(record, place)]


def test_a_draft_in_full() -> None:
    (made,) = drafts(pipeline({"client_id": "acme", "priority": 3}, name="nightly"), 0)
    identity = made["metadata"]["labels"].pop("taskpipeline.dev/job-hash")
    assert made == {
        "apiVersion": "taskpipeline.dev/v1alpha1",
        "kind": "PipelineJob",
        "metadata": {
            "name": f"nightly-j-{identity}",
            "namespace": "ns",
            "labels": {"app.kubernetes.io/managed-by": "task-pipeline", "taskpipeline.dev/pipeline-uid": "pu-1"},
            "ownerReferences": [
                {
                    "apiVersion": "taskpipeline.dev/v1alpha1",
                    "kind": "Pipeline",
                    "name": "nightly",
                    "uid": "pu-1",
                    "controller": True,
                    "blockOwnerDeletion": False,
                }
            ],
        },
        "spec": {
            "pipeline": "nightly",
            "name": "j",
            "stage": "s",
            "stageIndex": 0,
            "index": 0,
            "run": 1,
            "clientId": "acme",
            "kind": "Shell",
            "version": "1.0.0",
            "params": {},
            "pipelinePriority": 3,
            "priority": 10,
        },
    }


def test_a_draft_reads_back_as_a_waiting_record() -> None:
    job = job_spec("j", params={"image": "busybox", "script": "true"}, retry_attempt=2, priority=0)
    (made,) = drafts(pipeline({"jobs": (job,)}), 0)
    view = msgspec.json.decode(json.dumps(made), type=PipelineJobView)
    assert msgspec.json.decode(view.spec.params) == job.params
    assert (view.spec.retry_attempt, view.spec.priority, view.status.state) == (2, 0, "READY")
    assert view.metadata.controller_uid == "pu-1"


def test_params_are_a_copy() -> None:
    record = pipeline({"jobs": (job_spec("j", params={"a": 1}),)})
    drafts(record, 0)[0]["spec"]["params"]["b"] = 2
    assert drafts(record, 0)[0]["spec"]["params"] == {"a": 1}


@pytest.mark.parametrize(("place", "names"), [(0, ["a", "c"]), (1, ["b"]), (2, [])])
def test_a_stage_gets_its_own_jobs_in_their_order(place: int, names: list[str]) -> None:
    jobs = (job_spec("a", "x"), job_spec("b", "y"), job_spec("c", "x"))
    made = drafts(pipeline({"stages": ("x", "y", "empty"), "jobs": jobs}), place)
    assert [one["spec"]["name"] for one in made] == names


def test_jobs_that_a_run_has_kept_are_not_made_again() -> None:
    jobs = (job_spec("a", "x"), job_spec("b", "x"), job_spec("c", "x"))
    made = drafts(pipeline({"stages": ("x",), "jobs": jobs}), 0, {"a", "c"})
    assert [(one["spec"]["name"], one["spec"]["index"]) for one in made] == [("b", 1)]
