"""Occasions at which the operator and the REST server use rights that a run without trouble has no need of."""

import base64
import json
import urllib.error
import urllib.request
from typing import Any

from task_pipeline.core.naming import job_hash, job_object_name, workload_name
from tests.cluster.polling import wait_for
from tests.contract.kubectl import manifest
from tests.e2e.release import Release
from tests.real.pipelines import jobs_of

CLOSED = "closed"  # a client whose jobs wait until it is opened


def rest(release: Release, proof: str, method: str, path: str, body: Any = None) -> Any:
    """The REST server's answer; `proof` is the header Authorization. None for an empty answer; raises for a refusal."""
    headers = {"Authorization": proof, "Content-Type": "application/json"}
    data = None if body is None else json.dumps(body).encode()
    call = urllib.request.Request(f"{release.address()}{path}", data, headers, method=method)
    try:
        with urllib.request.urlopen(call, timeout=60) as answer:
            text = answer.read()
    except urllib.error.HTTPError as error:
        raise AssertionError(f"{method} {path}: {error.code} {error.read(2000).decode(errors='replace')}") from error
    return json.loads(text) if text.strip().startswith(b"{") else None


def basic(client: str, secret: str) -> str:
    """The proof of a client."""
    return "Basic " + base64.b64encode(f"{client}:{secret}".encode()).decode()


def account_token(release: Release, account: str) -> str:
    """The proof of a service account that may look at its own namespace and nowhere else."""
    team = release.team
    team.ok("create", "serviceaccount", account)
    binding = ("create", "rolebinding", account, "--clusterrole=view")
    team.ok(*binding, f"--serviceaccount={team.namespace}:{account}")
    return "Bearer " + team.ok("create", "token", account, "--audience=task-pipeline").strip()


def take_names(release: Release, pipeline: str, jobs: list[dict[str, Any]]) -> None:
    """A Pipeline of a closed client, and foreign objects with the names that its first attempts will have.

    Its priority is changed while it waits, for that is when the operator writes it to the PipelineJobs.
    """
    client = manifest("PipelineClient", CLOSED, {"namespaces": ["*"], "maxRunningJobs": 0})
    release.own.ok("apply", "-f", "-", stdin=client)
    release.team.create("Pipeline", pipeline, {"clientId": CLOSED, "stages": ["s"], "jobs": jobs})

    def mine() -> list[dict[str, Any]]:
        return [one for one in jobs_of(release.team) if one["spec"]["pipeline"] == pipeline]

    wait_for(lambda: len(mine()) == len(jobs), "its PipelineJobs", 30)
    release.team.ok(*release.team.merge(f"tpl/{pipeline}", {"spec": {"priority": 3}}))
    wait_for(lambda: {one["spec"]["pipelinePriority"] for one in mine()} == {3}, "their copies of the priority", 30)
    for found in mine():
        name = workload_name(found["metadata"]["name"], found["metadata"]["uid"], 1)
        release.team.ok("create", "-f", "-", stdin=_foreign(found["spec"]["kind"], name, found["spec"]["params"]))
    release.own.ok(*release.own.merge(f"pclient/{CLOSED}", {"spec": {"maxRunningJobs": None}}))


def _foreign(kind: str, name: str, params: dict[str, Any]) -> dict[str, Any]:
    """What stands in the way of a job: its Kubernetes Job, its ConfigMap if its script is long, else its pod."""
    pod = {"restartPolicy": "Never", "containers": [{"name": "main", "image": "busybox:1.36", "command": ["true"]}]}
    metadata = {"name": name}
    if kind == "K8S/Job":
        return {"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": {"template": {"spec": pod}}}
    if len(params["script"]) > 131_072:
        return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {}}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": pod}


def take_the_name_of_a_job(release: Release, pipeline: str, job: dict[str, Any]) -> None:
    """A suspended Pipeline, and a PipelineJob of nobody with the name that its job will have; then it is resumed."""
    made = release.team.create("Pipeline", pipeline, {"suspend": True, "stages": ["s"], "jobs": [job]})
    name = job_object_name(pipeline, job["name"], job_hash(made["metadata"]["uid"], 1, job["name"]))
    fields = {"pipeline": pipeline, "stageIndex": 0, "index": 0, "run": 1, "clientId": "default"}
    release.team.create("PipelineJob", name, {**job, **fields})
    release.team.ok(*release.team.merge(f"tpl/{pipeline}", {"spec": {"suspend": False}}))
