"""The same manifest again and again, by every way that kubectl knows, and what a GitOps tool finds afterwards.

Rows 24 and 25 of the semantics; field cases B054, B055, B056.
"""

import json
import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.cluster import Cluster
from tests.cluster.polling import wait_for
from tests.contract.kubectl import Kubectl, manifest
from tests.real import audit
from tests.real.pipelines import create_all, jobs_of, pods_of, shell, wait_all, wait_for_status

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("shared_operator")]

TIMES = 50
QUIET_SECONDS = 1.0
Items = list[dict[str, Any]]


def many(items: Items) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "List", "items": items}


def client_side(kubectl: Kubectl, items: Items) -> None:
    said = kubectl.ok("apply", "-f", "-", stdin=many(items)).splitlines()
    assert len(said) == len(items)
    assert all(line.endswith(("unchanged", "configured", "created")) for line in said), said


def server_side(kubectl: Kubectl, items: Items) -> None:
    kubectl.ok("apply", "--server-side", "-f", "-", stdin=many(items))


def create(kubectl: Kubectl, items: Items) -> None:
    told = kubectl.refused("create", "-f", "-", stdin=many(items))
    assert told.count("AlreadyExists") == len(items)


def replace(kubectl: Kubectl, items: Items) -> None:
    """Whoever replaces reads first, so a status that is written meanwhile may refuse one."""
    for _ in range(5):
        answer = kubectl.run("replace", "-f", "-", stdin=many(items))
        if answer.code == 0:
            return
        assert "the object has been modified" in answer.err, answer.err
    raise AssertionError("never accepted")


WAYS: dict[str, Callable[[Kubectl, Items], None]] = {
    "client": client_side,
    "server": server_side,
    "create": create,
    "replace": replace,
}


def in_git(name: str, seconds: float = 0, **spec: Any) -> dict[str, Any]:
    """The manifest of one run, with a label and an annotation as tools write them."""
    body = manifest("Pipeline", name, {"stages": ["s"], "jobs": [shell("a", seconds=seconds)]} | spec)
    body["metadata"] |= {"labels": {"app.kubernetes.io/instance": "shop"}, "annotations": {"example.com/tracking": "1"}}
    return body


def submit(kubectl: Kubectl, ways: dict[str, dict[str, Any]]) -> None:
    """Create each manifest in its own way."""
    for way, body in ways.items():
        verb = {"server": ("apply", "--server-side"), "client": ("apply",)}.get(way, ("create",))
        kubectl.ok(*verb, "-f", "-", stdin=body)


def specs(kubectl: Kubectl) -> dict[str, tuple[Any, ...]]:
    """What must not move: generation, observed generation, UID, run and spec of every Pipeline."""
    items = json.loads(kubectl.ok("get", "tpl", "-o", "json"))["items"]
    return {
        one["metadata"]["name"]: (
            one["metadata"]["generation"],
            one["status"]["observedGeneration"],
            one["metadata"]["uid"],
            one["status"]["run"],
            one["spec"],
        )
        for one in items
    }


def launches(installed: Cluster, kubectl: Kubectl, since: int) -> int:
    """Pods, Jobs, Deployments and PipelineJobs that the operator has created in the namespace."""
    return sum(
        event["verb"] == "create" and event["objectRef"].get("namespace") == kubectl.namespace
        for event in audit.requests(installed.audit_log, since)
    )


def writes(installed: Cluster, kubectl: Kubectl, since: int) -> list[str]:
    """All that the operator has written in the namespace."""
    return [
        f"{event['verb']} {audit.resource(event)}"
        for event in audit.requests(installed.audit_log, since)
        if event["verb"] in audit.MUTATING and event["objectRef"].get("namespace") == kubectl.namespace
    ]


def is_without_drift(kubectl: Kubectl, ways: dict[str, dict[str, Any]]) -> None:
    """What a tool compares: what would be applied, with what there is."""
    kubectl.ok("diff", "-f", "-", stdin=many([ways["client"]]))
    kubectl.ok("diff", "--server-side", "-f", "-", stdin=many([ways["server"]]))


def is_only_the_users(kubectl: Kubectl, name: str) -> None:
    """Row 25: spec and metadata belong to kubectl, and the operator to the status alone."""
    thing = json.loads(kubectl.ok("get", "tpl", name, "-o", "json", "--show-managed-fields"))
    metadata = thing["metadata"]
    for entry in metadata["managedFields"]:
        if entry.get("subresource") == "status":
            assert set(entry["fieldsV1"]) <= {"f:status"}, entry
        else:
            assert entry["manager"].startswith("kubectl"), entry
    assert metadata["labels"] == {"app.kubernetes.io/instance": "shop"}
    assert set(metadata["annotations"]) <= {"example.com/tracking", "kubectl.kubernetes.io/last-applied-configuration"}
    assert "finalizers" not in metadata
    assert "ownerReferences" not in metadata


def test_row24_the_same_manifest_50_times_during_the_run_and_after_it(installed: Cluster, kubectl: Kubectl) -> None:
    ways = {way: in_git(way, seconds=45) for way in WAYS}
    since = audit.mark(installed.audit_log)
    submit(kubectl, ways)
    for way in WAYS:
        wait_for_status(kubectl, f"tpl/{way}", state="IN PROGRESS")
    before = specs(kubectl)
    for way, apply in WAYS.items():
        apply(kubectl, [ways[way]] * TIMES)
    now = specs(kubectl)
    assert now == before
    assert {one["status"]["state"] for one in jobs_of(kubectl)} == {"IN PROGRESS"}
    assert wait_all(kubectl) == dict.fromkeys(WAYS, "DONE")
    wait_for(lambda: launches(installed, kubectl, since) == 2 * len(WAYS), "one PipelineJob and one Pod for each")
    after = audit.mark(installed.audit_log)
    for way, apply in WAYS.items():
        apply(kubectl, [ways[way]] * TIMES)
    time.sleep(QUIET_SECONDS)
    assert specs(kubectl) == before
    assert {name: facts[0] for name, facts in before.items()} == dict.fromkeys(WAYS, 1)
    assert writes(installed, kubectl, after) == []
    assert len(jobs_of(kubectl)) == len(pods_of(kubectl)) == len(WAYS)
    is_without_drift(kubectl, ways)
    for way in WAYS:
        is_only_the_users(kubectl, way)


def test_row24_the_same_manifest_50_times_after_the_time_to_live(installed: Cluster, kubectl: Kubectl) -> None:
    """Also B056: what the time to live removes is what the operator made, never the Pipeline."""
    ways = {way: in_git(way, ttlSecondsAfterFinished=0) for way in WAYS}
    submit(kubectl, ways)
    assert wait_all(kubectl) == dict.fromkeys(WAYS, "DONE")
    wait_for(lambda: not jobs_of(kubectl), "the time to live to remove the PipelineJobs", 30)
    time.sleep(QUIET_SECONDS)
    before, after = specs(kubectl), audit.mark(installed.audit_log)
    for way, apply in WAYS.items():
        apply(kubectl, [ways[way]] * TIMES)
    time.sleep(QUIET_SECONDS)
    assert specs(kubectl) == before
    assert writes(installed, kubectl, after) == []
    assert not jobs_of(kubectl)
    assert {one["status"]["state"] for one in json.loads(kubectl.ok("get", "tpl", "-o", "json"))["items"]} == {"DONE"}
    is_without_drift(kubectl, ways)
    for way in WAYS:
        is_only_the_users(kubectl, way)


def test_row24_a_changed_manifest_is_refused_by_every_way_and_the_old_one_goes_on(kubectl: Kubectl) -> None:
    ways = {way: in_git(way) for way in WAYS}
    submit(kubectl, ways)
    assert wait_all(kubectl) == dict.fromkeys(WAYS, "DONE")
    before = specs(kubectl)
    for way in ("client", "server", "replace"):
        changed = in_git(way, seconds=1)
        verb = {"client": ("apply",), "server": ("apply", "--server-side"), "replace": ("replace",)}[way]
        told = kubectl.refused(*verb, "-f", "-", stdin=changed)
        for way_out in ("another name", "spec.rerun", "delete the Pipeline"):
            assert way_out in told
    assert specs(kubectl) == before


def test_b056_only_ttl_policy_delete_removes_the_pipeline_itself(kubectl: Kubectl) -> None:
    assert (
        kubectl.get("crd", "pipelines.taskpipeline.dev")["spec"]["versions"][0]["schema"]["openAPIV3Schema"][
            "properties"
        ]["spec"]["properties"]["ttlPolicy"]["default"]
        == "Slim"
    )
    job = shell("migrate")
    create_all(
        kubectl,
        {
            "gone": {"stages": ["s"], "jobs": [job], "ttlSecondsAfterFinished": 0, "ttlPolicy": "Delete"},
            "kept": {"stages": ["s"], "jobs": [job], "ttlSecondsAfterFinished": 0},
        },
    )
    wait_for(lambda: kubectl.run("get", "tpl", "gone").code, "the Pipeline to be deleted", 30)
    wait_for(lambda: not jobs_of(kubectl), "the PipelineJobs to be removed", 60)
    assert kubectl.get("tpl", "kept")["status"]["state"] == "DONE"


def everything_made() -> dict[str, Any]:
    """One job of every kind, and one whose script needs a ConfigMap."""
    template = {
        "metadata": {"labels": {"app": "shop"}},
        "spec": {"containers": [{"name": "web", "image": "nginx:1.26"}]},
    }
    deployment = {"replicas": 1, "selector": {"matchLabels": {"app": "shop"}}, "template": template}
    container = {"name": "main", "image": "busybox:1.36", "command": ["true"]}
    job = {"template": {"spec": {"restartPolicy": "Never", "containers": [container]}}}
    large = shell("large", "d")
    large["params"] |= {"script": "#" * 140_000, "labels": {"team": "blue"}}
    return {
        "stages": ["d"],
        "jobs": [
            {"name": "web", "stage": "d", "kind": "K8S/Deployment", "version": "1.0.0",
             "params": {"name": "shop", "spec": deployment}},
            {"name": "batch", "stage": "d", "kind": "K8S/Job", "version": "1.0.0", "params": {"spec": job}},
            large,
            shell("fails", "d", exit_code=1, allowFailure=True),
        ],
    }  # fmt: skip


def test_b054_no_object_inherits_the_labels_of_a_gitops_tool(kubectl: Kubectl) -> None:
    body = manifest("Pipeline", "gitops5", everything_made())
    marks = {"app.kubernetes.io/instance": "shop-tracked", "kustomize.toolkit.fluxcd.io/name": "shop-tracked"}
    body["metadata"] |= {"labels": marks, "annotations": {"argocd.argoproj.io/tracking-id": "shop-tracked:x"}}
    kubectl.ok("create", "-f", "-", stdin=body)
    assert wait_all(kubectl) == {"gitops5": "DONE"}
    kinds = "tpl,pjob,pods,jobs,deployments,replicasets,configmaps,secrets,pvc,events.events.k8s.io"
    wait_for(lambda: "SucceededWithWarnings" in kubectl.ok("get", "events"), "the Event of the Pipeline")
    items = json.loads(kubectl.ok("get", kinds, "-o", "json"))["items"]
    made = {one["kind"] for one in items if one["kind"] != "Pipeline"}
    assert made >= {"PipelineJob", "Pod", "Job", "Deployment", "ReplicaSet", "ConfigMap", "Event"}
    inherited = [one["kind"] for one in items if "shop-tracked" in json.dumps(one)]
    assert inherited == ["Pipeline"]
    own = [one for one in items if one["metadata"].get("labels", {}).get("team") == "blue"]
    assert {one["kind"] for one in own} == {"Pod"}
    (template,) = (one["spec"]["template"]["metadata"]["labels"] for one in items if one["kind"] == "Deployment")
    assert template["app"] == "shop"


def test_b055_defaults_that_are_written_out_are_no_difference(kubectl: Kubectl) -> None:
    params = {"image": "busybox:1.36", "script": "true", "env": {}, "args": []}
    job = {
        "name": "a", "stage": "s", "kind": "Shell", "version": "1.0.0", "priority": 10, "retry_attempt": 0,
        "allow_failure": False, "params": params,
    }  # fmt: skip
    body = manifest("Pipeline", "gitops7", {"clientId": "default", "priority": 10, "suspend": False, "failFast": False,
                                            "ttlPolicy": "Slim", "stages": ["s"], "jobs": [job]})  # fmt: skip
    kubectl.ok("apply", "-f", "-", stdin=body)
    assert kubectl.get("tpl", "gitops7")["spec"]["jobs"] == [job]
    for _ in range(3):
        assert kubectl.ok("apply", "-f", "-", stdin=body).strip().endswith("unchanged")
    assert wait_all(kubectl) == {"gitops7": "DONE"}
    for _ in range(3):
        assert kubectl.ok("apply", "-f", "-", stdin=body).strip().endswith("unchanged")
    kubectl.ok("diff", "-f", "-", stdin=body)
    now = kubectl.get("tpl", "gitops7")
    assert now["metadata"]["generation"] == now["status"]["observedGeneration"] == 1
    assert now["spec"] == body["spec"]
    assert len(jobs_of(kubectl)) == 1


def test_b055_absent_defaults_are_no_difference_either(kubectl: Kubectl) -> None:
    body = manifest("Pipeline", "short", {"stages": ["s"], "jobs": [shell("a")]})
    kubectl.ok("apply", "-f", "-", stdin=body)
    assert wait_all(kubectl) == {"short": "DONE"}
    assert kubectl.ok("apply", "-f", "-", stdin=body).strip().endswith("unchanged")
    kubectl.ok("diff", "-f", "-", stdin=body)
    assert kubectl.get("tpl", "short")["spec"]["jobs"] == body["spec"]["jobs"]
