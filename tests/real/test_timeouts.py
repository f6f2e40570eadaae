"""Timeouts and cancels of every kind on the real API server: B029, B031, B034, B035, B100, a held Kubernetes Job."""

import time
from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest

from tests.cluster.polling import wait_for
from tests.contract.kubectl import Kubectl
from tests.operators import OperatorProcess
from tests.real.pipelines import create_all, job_named, jobs_of, pods_of, shell, wait_all, wait_for_status

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("shared_operator")]

NOWHERE = {"no": "such-node"}


def k8s_job(name: str, **spec: Any) -> dict[str, Any]:
    """A Kubernetes Job whose pod runs for ten minutes."""
    pod = {"restartPolicy": "Never", "containers": [{"name": "main", "image": "busybox:1.36"}]} | spec
    template = {"metadata": {"annotations": {"simulate.test/seconds": "600"}}, "spec": pod}
    return {
        "name": name, "stage": "s", "kind": "K8S/Job", "version": "1.0.0", "params": {"spec": {"template": template}},
    }  # fmt: skip


def deployment(name: str) -> dict[str, Any]:
    """A Deployment whose pods find no node."""
    pod = {"nodeSelector": NOWHERE, "containers": [{"name": "web", "image": "registry.example.test/none:1"}]}
    labels = {"app": name}
    template = {"metadata": {"labels": labels}, "spec": pod}
    spec = {"replicas": 1, "selector": {"matchLabels": labels}, "template": template}
    return {
        "name": name, "stage": "s", "kind": "K8S/Deployment", "version": "1.0.0",
        "params": {"name": name, "spec": spec},
    }  # fmt: skip


def lasted(status: dict[str, Any]) -> float:
    """Seconds from its start to its end."""
    return (
        datetime.fromisoformat(status["completionTime"]) - datetime.fromisoformat(status["startTime"])
    ).total_seconds()


def nothing_is_left(kubectl: Kubectl, seconds: float = 60.0) -> None:
    """No Kubernetes Job, and no pod of ours, is there any more."""

    def gone() -> bool:
        ours = [pod for pod in pods_of(kubectl) if "taskpipeline.dev/job-hash" in pod["metadata"].get("labels", {})]
        return not ours and not kubectl.ok("get", "jobs", "-o", "name")

    wait_for(gone, "the end of every workload", seconds)


def test_b031_a_timeout_ends_every_kind(kubectl: Kubectl) -> None:
    jobs = [shell("a", seconds=600), k8s_job("b"), deployment("c")]
    spec = {"stages": ["s"], "jobs": [job | {"timeout": 6, "allow_failure": True} for job in jobs]}
    create_all(kubectl, {"kinds": spec})
    assert wait_all(kubectl) == {"kinds": "DONE"}
    for job in jobs_of(kubectl):
        assert (job["status"]["state"], job["status"]["reason"]) == ("ERROR", "Timeout"), job["spec"]["name"]
        assert 6 <= lasted(job["status"]) < 40
    nothing_is_left(kubectl)


@pytest.mark.parametrize(("limits", "reason"), [({"timeout": 4}, "Timeout"), ({"startTimeout": 4}, "StartTimeout")])
def test_b029_b100_what_finds_no_node_ends_and_leaves_nothing(
    kubectl: Kubectl, limits: dict[str, int], reason: str
) -> None:
    pod = shell("a")
    pod["params"]["nodeSelector"] = NOWHERE
    jobs = [pod, k8s_job("b", nodeSelector=NOWHERE)]
    create_all(kubectl, {"pend": {"stages": ["s"], "jobs": [job | limits for job in jobs]}})
    assert wait_all(kubectl) == {"pend": "ERROR"}
    for job in jobs_of(kubectl):
        assert job["status"]["reason"] == reason
        assert "node" in job["status"]["message"], "the scheduler's own words"
    nothing_is_left(kubectl)


def test_row_7_the_clock_of_a_held_job_stands_still_and_a_cancel_ends_it(kubectl: Kubectl) -> None:
    create_all(kubectl, {"held": {"stages": ["s"], "jobs": [k8s_job("a") | {"timeout": 20, "startTimeout": 15}]}})
    wait_for_status(kubectl, "tpl/held", state="IN PROGRESS")
    name = wait_for(lambda: kubectl.ok("get", "jobs", "-o", "name").strip(), "the Kubernetes Job")
    kubectl.ok(*kubectl.merge(name, {"spec": {"suspend": True}}))
    wait_for_status(kubectl, f"pjob/{job_named(kubectl, 'a')['metadata']['name']}", reason="ExternallyQueued")
    time.sleep(22)  # longer than its timeouts
    assert job_named(kubectl, "a")["status"]["reason"] == "ExternallyQueued"
    kubectl.ok(*kubectl.merge("tpl/held", {"spec": {"cancel": "Now"}}))
    assert wait_all(kubectl) == {"held": "CANCELLED"}
    nothing_is_left(kubectl)


def _nothing(kubectl: Kubectl) -> None:
    """The cancel comes directly after the creation."""


def _runs(kubectl: Kubectl) -> None:
    wait_for(lambda: [pod for pod in pods_of(kubectl) if pod["status"]["phase"] == "Running"], "a pod that runs")


def _lost_its_kubernetes_job(kubectl: Kubectl) -> None:
    _runs(kubectl)
    kubectl.ok("delete", kubectl.ok("get", "jobs", "-o", "name").strip(), "--wait=false")


def _lost_its_kubernetes_job_but_not_the_pod(kubectl: Kubectl) -> None:
    _runs(kubectl)
    kubectl.ok("delete", kubectl.ok("get", "jobs", "-o", "name").strip(), "--cascade=orphan")


@pytest.mark.parametrize(
    "moment", [_nothing, _runs, _lost_its_kubernetes_job, _lost_its_kubernetes_job_but_not_the_pod]
)
def test_b034_b035_no_moment_leaves_a_kubernetes_job_behind(
    kubectl: Kubectl, moment: Callable[[Kubectl], None]
) -> None:
    create_all(kubectl, {"c2": {"stages": ["s"], "jobs": [k8s_job("a") | {"retryAttempt": 3}]}})
    moment(kubectl)
    kubectl.ok(*kubectl.merge("tpl/c2", {"spec": {"cancel": "Now"}}))
    assert wait_all(kubectl) == {"c2": "CANCELLED"}
    nothing_is_left(kubectl)


def test_b034_a_cancel_while_the_operator_is_down(kubectl: Kubectl, shared_operator: OperatorProcess) -> None:
    create_all(kubectl, {"c2": {"stages": ["s"], "jobs": [k8s_job("a"), shell("b", seconds=600)]}})
    wait_for(lambda: [one["status"]["state"] for one in jobs_of(kubectl)] == ["IN PROGRESS"] * 2, "two that run")
    shared_operator.kill()
    kubectl.ok(*kubectl.merge("tpl/c2", {"spec": {"cancel": "Now"}}))
    shared_operator.start()
    assert wait_all(kubectl) == {"c2": "CANCELLED"}
    assert {job["status"]["reason"] for job in jobs_of(kubectl)} == {"UserCancelled"}
    nothing_is_left(kubectl)
