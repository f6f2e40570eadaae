"""What the operator writes for one Shell job, as it writes it: manifests by its own code, statuses as examples."""

from typing import Any

from task_pipeline.api.decode import decode_pipeline_spec
from task_pipeline.core.divider import drafts
from task_pipeline.core.records import PipelineRecord, PipelineStatus
from task_pipeline.core.workload import AttemptIdentity, KindDefaults
from task_pipeline.kinds import registry, shell
from tests.bench.manifests import NAMESPACE, pipeline

Body = dict[str, Any]
_TIME = "2026-01-31T23:59:58.123456Z"
_UID = "0a1b2c3d-0000-4000-8000-000000000000"
_STAGES, _JOBS = 4, 5

JOB_STARTED: Body = {
    "state": "IN PROGRESS",
    "reason": "Starting",
    "attempt": 1,
    "workload": {"kind": "Pod", "name": "release-2031-04-s0-0-0123456789abcdef-1", "uid": _UID},
    "startTime": _TIME,
}
JOB_ENDED: Body = {
    "state": "DONE",
    "reason": "Succeeded",
    "completionTime": _TIME,
    "attempts": [
        {
            "attempt": 1,
            "outcome": "Succeeded",
            "reason": "Succeeded",
            "exitCode": 0,
            "node": "simulated-1",
            "startTime": _TIME,
            "completionTime": _TIME,
        }
    ],
    "conditions": [
        {"type": word, "status": "True", "reason": "Succeeded", "lastTransitionTime": _TIME, "observedGeneration": 1}
        for word in ("Finished", "Succeeded")
    ],
}


def _stage(name: str, state: str, done: int) -> Body:
    counts = {"total": _JOBS, "waiting": 0, "running": _JOBS - done, "done": done, "failed": 0, "cancelled": 0}
    return {"name": name, "state": state, **counts}


PIPELINE_STARTED: Body = {
    "observedGeneration": 1,
    "state": "IN PROGRESS",
    "reason": "StageRunning",
    "stage": "s0",
    "stages": [_stage(f"s{number}", "READY", 0) for number in range(_STAGES)],
    "progress": "0/20",
    "acceptedTime": _TIME,
    "startTime": _TIME,
    "conditions": [
        {"type": word, "status": "True", "reason": "Accepted", "lastTransitionTime": _TIME, "observedGeneration": 1}
        for word in ("Accepted", "Succeeded", "Finished", "Ready", "Reconciling")
    ],
}
PIPELINE_STAGE_DONE: Body = {
    "stage": "s1",
    "stages": [_stage("s0", "DONE", _JOBS), *PIPELINE_STARTED["stages"][1:]],
    "progress": "5/20",
}


def a_pipeline(number: int) -> Body:
    """A Pipeline of 20 jobs."""
    return pipeline(f"release-{number}", _STAGES, _JOBS)


def a_job(number: int) -> Body:
    """The PipelineJob of its first job."""
    manifest = a_pipeline(number)
    record = PipelineRecord(
        namespace=NAMESPACE,
        name=manifest["metadata"]["name"],
        uid=_UID,
        rv=1,
        generation=1,
        created=_TIME,
        deleting=False,
        spec=decode_pipeline_spec(manifest["spec"]),
        fault=None,
        status=PipelineStatus(),
    )
    return drafts(record, 0)[0]


def a_pod(number: int) -> Body:
    """The pod of that job, for a scheduler that does not exist."""
    params = {"image": "busybox:1.36", "script": "true"}
    job = a_job(number)["metadata"]
    attempt = AttemptIdentity(
        namespace=NAMESPACE,
        job=job["name"],
        job_uid=_UID,
        job_hash="0123456789abcdefghij",
        pipeline=f"release-{number}",
        pipeline_uid=_UID,
        attempt=1,
        workload=f"{job['name']}-1",
    )
    launch = shell.KIND.launch(registry.parse("Shell", "1.0.0", params), attempt, KindDefaults(), None)
    manifest: Body = launch.manifest
    return manifest | {"spec": manifest["spec"] | {"schedulerName": "nobody"}}
