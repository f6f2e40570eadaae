"""Pipelines for the tests, and waiting for what becomes of them."""

import json
import time
from typing import Any

from tests.cluster.polling import wait_for
from tests.contract.kubectl import Kubectl, manifest

FINAL = ("DONE", "ERROR", "CANCELLED")
PATIENCE = 150.0
GARBAGE_SECONDS = 60.0  # the garbage collector looks for new CRDs twice a minute


def shell(name: str, stage: str = "s", *, seconds: float = 0, exit_code: int = 0, **fields: Any) -> dict[str, Any]:
    """A Shell job whose simulated pod runs for `seconds` and ends with `exit_code`."""
    annotations = {}
    if seconds:
        annotations["simulate.test/seconds"] = str(seconds)
    if exit_code:
        annotations["simulate.test/exit-code"] = str(exit_code)
    params = {"image": "busybox:1.36", "script": "true"} | ({"annotations": annotations} if annotations else {})
    return {"name": name, "stage": stage, "kind": "Shell", "version": "1.0.0", "params": params} | fields


def grid(stages: int, jobs: int, **job_fields: Any) -> dict[str, Any]:
    """The spec of a Pipeline of `stages` stages with `jobs` jobs each."""
    names = [f"s{stage}" for stage in range(stages)]
    return {
        "stages": names,
        "jobs": [shell(f"{name}-{number}", name, **job_fields) for name in names for number in range(jobs)],
    }


def create_all(kubectl: Kubectl, specs: dict[str, Any]) -> None:
    """Create Pipelines by name, all at once."""
    items = [manifest("Pipeline", name, spec) for name, spec in specs.items()]
    kubectl.ok("create", "-f", "-", stdin={"apiVersion": "v1", "kind": "List", "items": items})


def states(kubectl: Kubectl, kind: str) -> dict[str, str]:
    """The state of every object of `kind` in the namespace, by name."""
    items = json.loads(kubectl.ok("get", kind, "-o", "json"))["items"]
    return {item["metadata"]["name"]: item.get("status", {}).get("state", "READY") for item in items}


def wait_all(kubectl: Kubectl, *, seconds: float = PATIENCE, kind: str = "tpl") -> dict[str, str]:
    """Wait until every object of `kind` is final; returns their states. Fails with what is not after `seconds`."""
    deadline = time.monotonic() + seconds
    while True:
        now = states(kubectl, kind)
        open_ones = {name: state for name, state in now.items() if state not in FINAL}
        if not open_ones:
            return now
        assert time.monotonic() < deadline, f"not final after {seconds} s: {open_ones}"
        time.sleep(0.2)


def jobs_of(kubectl: Kubectl) -> list[dict[str, Any]]:
    """The PipelineJobs of the namespace."""
    items: list[dict[str, Any]] = json.loads(kubectl.ok("get", "pjob", "-o", "json"))["items"]
    return items


def pods_of(kubectl: Kubectl) -> list[dict[str, Any]]:
    """The pods of the namespace."""
    items: list[dict[str, Any]] = json.loads(kubectl.ok("get", "pods", "-o", "json"))["items"]
    return items


def wait_for_status(kubectl: Kubectl, name: str, *, seconds: int = 60, **fields: str) -> dict[str, Any]:
    """Wait until every field of the status of `name` (kind/name) has its value; returns the object then."""
    for field, value in fields.items():
        wish = f"--for=jsonpath={{.status.{field}}}={value}"
        answer = kubectl.run("wait", name, wish, f"--timeout={seconds}s")
        if answer.code:
            now = kubectl.run("get", name, "-o", "jsonpath={.status}")
            raise AssertionError(f"{name}: {field} is not {value} after {seconds} s: {now.out}{now.err}")
    found: dict[str, Any] = kubectl.get(*name.split("/"))
    return found


def condition(obj: dict[str, Any], kind: str) -> str:
    """The status of a condition of `obj`, `absent` when it has none."""
    found = [one["status"] for one in obj["status"].get("conditions", ()) if one["type"] == kind]
    return found[0] if found else "absent"


def workload_of(kubectl: Kubectl, name: str) -> str:
    """The name of what has been launched for a job, once its status says so."""

    def told() -> str:
        return str(job_named(kubectl, name).get("status", {}).get("workload", {}).get("name", ""))

    return wait_for(told, "the workload")


def job_named(kubectl: Kubectl, name: str) -> dict[str, Any]:
    """The PipelineJob whose job has that name in the namespace's Pipeline."""
    return next(job for job in jobs_of(kubectl) if job["spec"]["name"] == name)
