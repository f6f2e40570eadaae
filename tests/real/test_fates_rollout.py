"""Rollouts on the real Deployment controller: every ending, and who may change a Deployment at the same time.

Field cases B047 to B050. Pods of a ReplicaSet are ready at once on simulated nodes; `minReadySeconds` makes a rollout
take its time, a node selector that fits no node makes it stick.
"""

import json
from typing import Any

import pytest

from tests.cluster.polling import wait_for
from tests.contract.kubectl import Kubectl
from tests.real.pipelines import GARBAGE_SECONDS, create_all, job_named, jobs_of, shell, wait_all, wait_for_status

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("shared_operator")]

NOWHERE = {"no": "such-node"}


def rollout(name: str = "web", stage: str = "s", /, **params: Any) -> dict[str, Any]:
    """A K8S/Deployment job on the Deployment `shop`."""
    of_kind = {"name": "shop"} | params
    return {"name": name, "stage": stage, "kind": "K8S/Deployment", "version": "1.0.0", "params": of_kind}


def native(image: str, *, pod: dict[str, Any] | None = None, **spec: Any) -> dict[str, Any]:
    """A DeploymentSpec of one replica unless said otherwise."""
    containers = [{"name": "web", "image": image}]
    template = {"metadata": {"labels": {"app": "shop"}}, "spec": {"containers": containers} | (pod or {})}
    return {"replicas": 1, "selector": {"matchLabels": {"app": "shop"}}, "template": template} | spec


def submit(kubectl: Kubectl, name: str, *jobs: dict[str, Any]) -> None:
    """A Pipeline of these jobs."""
    stages = list(dict.fromkeys(job["stage"] for job in jobs))
    create_all(kubectl, {name: {"stages": stages, "jobs": list(jobs)}})


def ends(kubectl: Kubectl, name: str, *jobs: dict[str, Any]) -> dict[str, Any]:
    """Run a Pipeline to its end; returns the status of its first job."""
    submit(kubectl, name, *jobs)
    wait_all(kubectl)
    return status_of(kubectl, name, jobs[0]["name"])


def status_of(kubectl: Kubectl, pipeline: str, job: str = "web") -> dict[str, Any]:
    """The status of a job."""
    mine = [one for one in jobs_of(kubectl) if (one["spec"]["pipeline"], one["spec"]["name"]) == (pipeline, job)]
    found: dict[str, Any] = mine[0]["status"]
    return found


def image(kubectl: Kubectl) -> str:
    """The image that the Deployment asks for."""
    found: str = kubectl.get("deployment", "shop")["spec"]["template"]["spec"]["containers"][0]["image"]
    return found


def test_b047_a_rollout_that_sticks_fails_with_the_deadline_and_what_its_pod_says(kubectl: Kubectl) -> None:
    assert ends(kubectl, "good", rollout(spec=native("nginx:1.25")))["state"] == "DONE"
    stuck = native("nginx:no-such-tag", pod={"nodeSelector": NOWHERE}, progressDeadlineSeconds=14)
    submit(kubectl, "bad", rollout(spec=stuck))
    slow = wait_for_message(kubectl, "bad")
    assert slow.startswith("after 10 s: 1 of 1 updated, 1 available, 2 in all: pod shop-")
    wait_all(kubectl)
    status = status_of(kubectl, "bad")
    assert (status["state"], status["reason"]) == ("ERROR", "ProgressDeadlineExceeded")
    for words in ("has timed out progressing.", "pod shop-", "Unschedulable: 0/"):
        assert words in status["message"]
    again = ends(kubectl, "again", rollout(spec=native("nginx:1.26", progressDeadlineSeconds=14)))
    assert (again["state"], image(kubectl)) == ("DONE", "nginx:1.26")


def wait_for_message(kubectl: Kubectl, pipeline: str) -> str:
    """The message of a running job, once it has one."""

    def told() -> str:
        mine = [job for job in jobs_of(kubectl) if job["spec"]["pipeline"] == pipeline]
        return str(mine[0].get("status", {}).get("message", "")) if mine else ""

    return wait_for(told, "a message")


def test_b048_rollouts_one_after_another_longer_apart_than_their_deadline(kubectl: Kubectl) -> None:
    for number in range(3):
        spec = native(f"nginx:1.{number}", progressDeadlineSeconds=6, minReadySeconds=1)
        assert ends(kubectl, f"roll{number}", rollout(spec=spec))["state"] == "DONE"
        kubectl.run("wait", "deployment/shop", "--for=condition=Never", "--timeout=7s")


def test_b048_a_change_of_replicas_alone_after_a_deadline_was_exceeded(kubectl: Kubectl) -> None:
    """The condition of the failed rollout stays until there is progress; this rollout has its own time."""
    stuck = native("nginx:1.25", pod={"nodeSelector": NOWHERE}, progressDeadlineSeconds=12)
    assert ends(kubectl, "first", rollout(spec=stuck))["reason"] == "ProgressDeadlineExceeded"
    kubectl.run("wait", "deployment/shop", "--for=condition=Never", "--timeout=2s")
    submit(kubectl, "second", rollout(spec=stuck | {"replicas": 2}))
    wait_for_status(kubectl, "tpl/second", state="IN PROGRESS")
    kubectl.run("wait", "tpl/second", "--for=condition=Finished", "--timeout=2s")
    assert status_of(kubectl, "second")["state"] == "IN PROGRESS"
    wait_all(kubectl)
    assert status_of(kubectl, "second")["reason"] == "ProgressDeadlineExceeded"


def test_b049_pods_that_still_terminate_are_told(kubectl: Kubectl) -> None:
    held = {"metadata": {"labels": {"app": "shop"}, "finalizers": ["test.example/held"]}}
    spec = native("nginx:1.25")
    spec["template"] |= held
    assert ends(kubectl, "first", rollout(spec=spec))["state"] == "DONE"
    pod = kubectl.ok("get", "pods", "-o", "name").split()[0]
    status = ends(kubectl, "second", rollout(spec=native("nginx:1.26")), shell("check", "verify"))
    assert status["state"] == "DONE"
    assert status["message"] == "1 old pods still terminate"
    kubectl.ok(*kubectl.merge(pod, {"metadata": {"finalizers": None}}))


def test_b050_a_rollout_that_a_quota_holds_up_is_cancelled_within_seconds(kubectl: Kubectl) -> None:
    kubectl.ok("create", "quota", "two", "--hard=pods=2")
    kubectl.ok("wait", "quota/two", "--for=jsonpath={.status.hard}", "--timeout=30s")
    submit(kubectl, "stuck", rollout(spec=native("nginx:1.26", replicas=3)))
    assert "exceeded quota: two" in wait_for_message(kubectl, "stuck")
    kubectl.ok(*kubectl.merge("tpl/stuck", {"spec": {"cancel": "Now"}}))
    wait_for_status(kubectl, "tpl/stuck", state="CANCELLED", seconds=20)
    assert kubectl.get("deployment", "shop")["spec"]["replicas"] == 3


def test_a_paused_deployment_is_refused_and_scaling_to_nothing_is_done(kubectl: Kubectl) -> None:
    assert ends(kubectl, "first", rollout(spec=native("nginx:1.25", replicas=2)))["state"] == "DONE"
    kubectl.ok("rollout", "pause", "deployment/shop")
    status = ends(kubectl, "paused", rollout(image="nginx:1.26"))
    assert (status["reason"], status["attempt"]) == ("Conflict", 1)
    assert "kubectl rollout resume deployment/shop" in status["message"]
    assert image(kubectl) == "nginx:1.25"
    kubectl.ok("rollout", "resume", "deployment/shop")
    assert ends(kubectl, "zero", rollout(replicas=0))["state"] == "DONE"
    assert image(kubectl) == "nginx:1.25"


def test_an_autoscaler_that_changes_replicas_meanwhile_is_followed_or_told(kubectl: Kubectl) -> None:
    assert ends(kubectl, "first", rollout(spec=native("nginx:1.25", minReadySeconds=3)))["state"] == "DONE"
    submit(kubectl, "roll", rollout(image="nginx:1.26"))
    wait_for_status(kubectl, "tpl/roll", state="IN PROGRESS")
    for replicas in (4, 2, 3):
        kubectl.ok("scale", "deployment/shop", f"--replicas={replicas}")  # through the subresource, as an autoscaler
    wait_all(kubectl)
    assert status_of(kubectl, "roll")["state"] == "DONE"
    assert (kubectl.get("deployment", "shop")["spec"]["replicas"], image(kubectl)) == (3, "nginx:1.26")
    named = ends(kubectl, "named", rollout(image="nginx:1.27", replicas=1))
    assert named["reason"] == "Conflict"
    for words in ('conflict with "kubectl"', ".spec.replicas", "field manager task-pipeline", "force: true"):
        assert words in named["message"]
    assert ends(kubectl, "forced", rollout(image="nginx:1.27", replicas=1, force=True))["state"] == "DONE"


@pytest.mark.parametrize("policy", ["Keep", "Rollback"])
def test_a_failed_rollout_goes_back_only_if_that_is_wanted(kubectl: Kubectl, policy: str) -> None:
    assert ends(kubectl, "first", rollout(spec=native("nginx:1.25")))["state"] == "DONE"
    stuck = native("nginx:bad", pod={"nodeSelector": NOWHERE}, progressDeadlineSeconds=3)
    status = ends(kubectl, "bad", rollout(spec=stuck, onFailure=policy))
    assert status["reason"] == "ProgressDeadlineExceeded"
    assert ("rolled back to the revision before" in status["message"]) is (policy == "Rollback")
    assert image(kubectl) == {"Keep": "nginx:bad", "Rollback": "nginx:1.25"}[policy]
    if policy == "Rollback":
        kubectl.ok("rollout", "status", "deployment/shop", "--timeout=20s")
        following = ends(kubectl, "next", rollout(image="nginx:1.26", progressDeadlineSeconds=600))
        assert following["state"] == "DONE", following


def test_two_jobs_on_one_deployment_at_the_same_time(kubectl: Kubectl) -> None:
    slow = native("nginx:1.25", minReadySeconds=8)
    submit(kubectl, "one", rollout(spec=slow, onFailure="Rollback"))
    wait_for_status(kubectl, "tpl/one", state="IN PROGRESS")
    submit(kubectl, "two", rollout("canary", spec=native("nginx:1.26", minReadySeconds=2)))
    assert wait_all(kubectl) == {"one": "ERROR", "two": "DONE"}
    status = status_of(kubectl, "one")
    assert (status["reason"], status["attempt"]) == ("Conflict", 1)
    assert "job canary of Pipeline two has applied Deployment shop meanwhile" in status["message"]
    assert (image(kubectl), status_of(kubectl, "two", "canary")["state"]) == ("nginx:1.26", "DONE")


@pytest.mark.parametrize("policy", ["Keep", "Remove"])
def test_a_deployment_outlives_its_pipeline_unless_it_is_to_be_removed(kubectl: Kubectl, policy: str) -> None:
    assert ends(kubectl, "p", rollout(spec=native("nginx:1.25"), onDelete=policy))["state"] == "DONE"
    kubectl.ok("delete", "tpl", "p")
    wait_for(lambda: not jobs_of(kubectl), "the end of the PipelineJob", GARBAGE_SECONDS)
    if policy == "Remove":
        wait_for(lambda: not kubectl.ok("get", "deployments", "-o", "name"), "the end of the Deployment", 60)
    else:
        assert image(kubectl) == "nginx:1.25"


def test_a_deployment_deleted_meanwhile_is_lost_and_made_again(kubectl: Kubectl) -> None:
    submit(kubectl, "p", rollout(spec=native("nginx:1.25", minReadySeconds=5)))
    wait_for_status(kubectl, "tpl/p", state="IN PROGRESS")
    wait_for(lambda: "workload" in job_named(kubectl, "web")["status"], "the Deployment", 10)
    kubectl.ok("delete", "deployment", "shop")
    assert wait_all(kubectl) == {"p": "DONE"}
    attempts = json.loads(kubectl.ok("get", "pjob", "-o", "json"))["items"][0]["status"]["attempts"]
    assert [(one["outcome"], one.get("charged")) for one in attempts] == [("Lost", False), ("Succeeded", None)]
