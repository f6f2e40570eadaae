"""What is remembered of finished objects, and that nothing that may still be asked for is forgotten."""

import gc
import json
import tracemalloc
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from task_pipeline.api.states import State
from task_pipeline.cache.convert import PipelineView, job_record, pipeline_record
from task_pipeline.cache.slim import slim_job, slim_pipeline
from task_pipeline.cache.store import Store
from task_pipeline.core.finished import acknowledged
from task_pipeline.core.records import PipelineJobView, PipelineRecord, PipelineStatus
from task_pipeline.core.rollup import tally_of
from tests import make

READY, RUNNING, DONE, ERROR, CANCELLED = State
JOBS = 5


def pipeline_json(number: int, state: State = DONE, run: int = 1) -> bytes:
    """A Pipeline with five jobs as the API server sends it."""
    params = {"image": "busybox:1.36", "script": "echo hello world; sleep 1", "env": {"A": "1", "B": "two"}}
    jobs = [{"name": f"j{n}", "stage": "s", "kind": "Shell", "version": "1.0.0", "params": params} for n in range(JOBS)]
    conditions = [
        {"type": kind, "status": "True", "reason": "Succeeded", "lastTransitionTime": make.at(), "message": ""}
        for kind in ("Accepted", "Succeeded", "Finished", "Ready")
    ]
    status = {
        "state": state, "reason": "Succeeded", "run": run, "observedGeneration": 1, "progress": "5/5", "divided": 0,
        "stages": [{"name": "s", "state": "DONE", "total": 5, "done": 5}], "conditions": conditions,
        "acceptedTime": make.at(), "startTime": make.at(1), "completionTime": make.at(2),
    }  # fmt: skip
    return json.dumps({
        "metadata": meta(f"p{number}", number + run), "spec": {"stages": ["s"], "jobs": jobs}, "status": status,
    }).encode()  # fmt: skip


def job_json(pipeline: int, number: int) -> bytes:
    """A DONE PipelineJob as the API server sends it."""
    workload = {"kind": "Pod", "name": f"p{pipeline}-j{number}-1", "uid": f"pod-{pipeline}-{number}"}
    attempt = {"attempt": 1, "outcome": "Succeeded", "exitCode": 0, "workload": workload, "node": "node-1"}
    spec = {
        "pipeline": f"p{pipeline}", "name": f"j{number}", "stage": "s", "stageIndex": 0, "index": number, "run": 1,
        "clientId": "default", "kind": "Shell", "version": "1.0.0", "params": {"image": "i", "script": "x" * 500},
    }  # fmt: skip
    status = {
        "state": "DONE", "reason": "Succeeded", "attempt": 1, "attempts": [attempt], "workload": workload,
        "startTime": make.at(1), "completionTime": make.at(2), "result": {"text": "y" * 500},
        "conditions": [{"type": "Finished", "status": "True", "reason": "Succeeded"}],
    }  # fmt: skip
    labels = {
        "taskpipeline.dev/job-hash": f"h-{pipeline}-{number}",
        "taskpipeline.dev/pipeline-uid": f"uid-p{pipeline}",
    }
    return json.dumps({
        "metadata": meta(f"p{pipeline}-j{number}", pipeline + 1) | {"labels": labels}, "spec": spec, "status": status,
    }).encode()  # fmt: skip


def meta(name: str, version: int) -> dict[str, Any]:
    return {
        "name": name, "namespace": "team", "uid": f"uid-{name}", "resourceVersion": str(version), "generation": 1,
        "creationTimestamp": make.at(),
    }  # fmt: skip


def read(raw: bytes, known: PipelineRecord | None = None) -> PipelineRecord:
    return pipeline_record(msgspec.json.decode(raw, type=PipelineView), known)


def test_the_bytes_of_finished_records_are_bounded() -> None:
    store, number = Store(), 300
    pipelines = [pipeline_json(n) for n in range(number)]
    jobs = [job_json(n, m) for n in range(number) for m in range(JOBS)]
    tracemalloc.start()
    try:
        for raw in pipelines:
            store.put_pipeline(read(raw))
        gc.collect()
        of_pipelines = tracemalloc.get_traced_memory()[0]
        for raw in jobs:
            store.put_job(job_record(msgspec.json.decode(raw, type=PipelineJobView)))
        gc.collect()
        of_jobs = tracemalloc.get_traced_memory()[0] - of_pipelines
    finally:
        tracemalloc.stop()
    assert of_pipelines / number < 3_000
    assert of_jobs / number / JOBS < 1_600


def test_a_final_job_counts_as_before() -> None:
    for state, reason, allowed in (
        (DONE, "Succeeded", False),
        (ERROR, "ExitCode", True),
        (CANCELLED, "FailFast", True),
    ):
        job = make.job(state=state, reason=reason, allow_failure=allowed, attempt=2, start_time=make.at(), message="m")
        slim = slim_job(job)
        assert tally_of([slim]) == tally_of([job])
        assert (slim.status.attempt, slim.status.message, slim.hash, slim.spec.run) == (2, None, job.hash, 1)


def test_the_end_of_a_job_is_remembered_where_traces_ask_for_it() -> None:
    store = Store()
    store.put_job(make.job("a", state=DONE, completion_time=make.at(9)))
    store.keep_ends = True
    store.put_job(make.job("b", state=DONE, completion_time=make.at(9)))
    assert {job.spec.name: job.status.completion_time for job in store.jobs.values()} == {"a": None, "b": make.at(9)}


@pytest.mark.parametrize("state", [READY, RUNNING])
def test_what_is_not_final_is_kept_whole(state: State) -> None:
    job = make.job(state=state, message="m")
    assert slim_job(job) is job
    pipeline = make.pipeline(status=PipelineStatus(state=state))
    assert slim_pipeline(pipeline) is pipeline


def test_an_invalid_pipeline_is_kept_whole_for_it_is_judged_again() -> None:
    invalid = make.pipeline(status=PipelineStatus(state=ERROR, reason="InvalidSpec"))
    assert slim_pipeline(invalid) is invalid
    unreadable = make.pipeline(spec=None, fault="bad", status=PipelineStatus(state=ERROR, start_time=make.at()))
    assert slim_pipeline(unreadable) is unreadable


def test_a_final_pipeline_knows_its_stages_and_its_status_and_forgets_its_jobs() -> None:
    whole = read(pipeline_json(1))
    slim = slim_pipeline(whole)
    assert whole.spec is not None
    assert slim.spec is not None
    assert (slim.slim, slim.spec.jobs, slim.spec.stage_totals) == (True, (), (5,))
    assert slim.status == whole.status
    assert acknowledged(replace(slim, generation=2)) == acknowledged(replace(whole, generation=2))
    assert slim_pipeline(slim) is slim


def test_one_that_runs_again_gets_its_jobs_back_from_the_next_event() -> None:
    slim = slim_pipeline(read(pipeline_json(1)))
    still = read(pipeline_json(1), slim)
    assert (still.slim, still.spec) == (True, slim.spec)
    again = read(pipeline_json(1, READY, run=2), slim)
    assert again.spec is not None
    assert (again.slim, len(again.spec.jobs)) == (False, JOBS)
